package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone/internal/wholefile"
)

// The lives of certificates. An authority's successor is published at half of its
// life and signs from two thirds on, so that everybody who is told of new
// authorities has half a year to learn of it; until the old one ends, those who
// know only that one are shown the successor signed by it.
const (
	authorityLife   = 3 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
)

// The files of the certificates, in the data folder.
const (
	keysFile      = "tls.json" // everything, 0600
	authorityFile = "ca.pem"   // the authorities alone, for those who call
)

// authority makes the server's certificate and renews it. It signs for this server
// alone, so that nobody has to run an authority to try a server; a service mesh or
// an ingress may still stand in front.
type authority struct {
	dir   string
	hosts []string // that the certificate names, sorted

	mu      sync.Mutex
	kept    pairs
	serving *tls.Certificate
	bundle  []byte
	changed chan struct{} // closed when bundle changes
}

// pairs is what keysFile holds. Everything is in DER.
type pairs struct {
	Authorities []pair `json:"authorities"` // the oldest first; the last may not sign yet
	Server      pair   `json:"server"`
	// Signer is the index of the authority that signed Server.
	Signer int `json:"signer"`
}

type pair struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"` // PKCS #8
	// Crossed is an authority's certificate as the authority before signed it.
	Crossed []byte `json:"crossed,omitempty"`
}

// openAuthority reads what is there, or makes it.
func openAuthority(dir string, hosts []string, now time.Time) (*authority, error) {
	a := &authority{dir: dir, hosts: hostNames(hosts), changed: make(chan struct{})}
	data, err := os.ReadFile(filepath.Join(dir, keysFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	default:
		if err := json.Unmarshal(data, &a.kept); err != nil {
			return nil, fmt.Errorf("reading the server's certificate %s: %w\nhint: take the file away and a new certificate is made; those who trusted the old authority need the new %s", keysFile, err, authorityFile)
		}
	}
	if err := a.Renew(now); err != nil {
		return nil, err
	}
	return a, nil
}

// hostNames are the names that a certificate is for, the loopback's always.
func hostNames(more []string) []string {
	all := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range more {
		if ip := net.ParseIP(h); ip != nil {
			h = ip.String()
		}
		all = append(all, h)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Renew makes what is due at the moment: authorities, certificate. What is not due
// stays.
func (a *authority) Renew(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.kept.renewed(a.hosts, now)
	if err != nil {
		return fmt.Errorf("making the server's certificate: %w", err)
	}
	serving, bundle, err := next.load()
	if err != nil {
		return fmt.Errorf("loading the server's certificate: %w", err)
	}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	old, _ := json.Marshal(a.kept) // what cannot be written is written anew
	if !bytes.Equal(old, data) {
		if err := wholefile.Write(filepath.Join(a.dir, keysFile), data, 0o600); err != nil {
			return err
		}
	}
	if !bytes.Equal(a.bundle, bundle) {
		if err := wholefile.Write(filepath.Join(a.dir, authorityFile), bundle, 0o644); err != nil {
			return err
		}
		close(a.changed)
		a.changed = make(chan struct{})
	}
	a.kept, a.serving, a.bundle = next, serving, bundle
	return nil
}

// Certificate is tls.Config.GetCertificate.
func (a *authority) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.serving, nil
}

// CABundle returns the authorities that may sign the server's certificate, in PEM,
// and a channel that is closed when they change.
func (a *authority) CABundle() ([]byte, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bundle, a.changed
}

// Expires is when the certificate that is served ends.
func (a *authority) Expires() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.serving.Leaf.NotAfter
}

// renewed returns the pairs with what is due at the moment.
func (p pairs) renewed(hosts []string, now time.Time) (pairs, error) {
	next := pairs{Server: p.Server, Signer: p.Signer}
	signer := p.signed()
	for i := range p.Authorities {
		c, err := x509.ParseCertificate(p.Authorities[i].Certificate)
		if err != nil || !now.Before(c.NotAfter) || now.Before(c.NotBefore) {
			continue // the certificate that it signed is then not believed either
		}
		next.Authorities = append(next.Authorities, p.Authorities[i])
	}
	if len(next.Authorities) == 0 || past(next.Authorities[len(next.Authorities)-1], now, 1, 2) {
		fresh, err := newAuthority(next.Authorities, now)
		if err != nil {
			return pairs{}, err
		}
		next.Authorities = append(next.Authorities, fresh)
	}
	// The newest signs once the one before it is past two thirds of its life.
	next.Signer = len(next.Authorities) - 1
	for next.Signer > 0 && !past(next.Authorities[next.Signer-1], now, 2, 3) {
		next.Signer--
	}
	by := next.Authorities[next.Signer]
	if bytes.Equal(signer, by.Certificate) && !past(p.Server, now, 2, 3) && names(p.Server, hosts) {
		return next, nil
	}
	var err error
	next.Server, err = newCertificate(by, hosts, now)
	return next, err
}

// signed returns the authority that signed the certificate, nil for none.
func (p *pairs) signed() []byte {
	if p.Signer < 0 || p.Signer >= len(p.Authorities) {
		return nil
	}
	return p.Authorities[p.Signer].Certificate
}

// past reports whether so many parts of the certificate's life are over; of one
// that cannot be read, or that a wrong clock has made for later, everything is.
func past(of pair, now time.Time, parts, whole time.Duration) bool {
	c, err := x509.ParseCertificate(of.Certificate)
	if err != nil {
		return true
	}
	return now.Before(c.NotBefore) || !now.Before(c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/whole*parts))
}

// names reports whether the certificate is for exactly these hosts.
func names(of pair, hosts []string) bool {
	c, err := x509.ParseCertificate(of.Certificate)
	if err != nil {
		return false
	}
	got := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		got = append(got, ip.String())
	}
	slices.Sort(got)
	return slices.Equal(got, hosts)
}

// newAuthority makes one, and has the last of the old ones vouch for it.
func newAuthority(old []pair, now time.Time) (pair, error) {
	key, template, err := template(now, authorityLife)
	if err != nil {
		return pair{}, err
	}
	template.Subject = pkix.Name{CommonName: "Touchstone authority " + now.UTC().Format(time.DateOnly)}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.MaxPathLen, template.MaxPathLenZero = 1, false
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	fresh, err := sign(template, template, key, key)
	if err != nil || len(old) == 0 {
		return fresh, err
	}
	parent, signer, err := old[len(old)-1].parse()
	if err != nil {
		return pair{}, err
	}
	template.NotAfter = parent.NotAfter
	crossed, err := sign(template, parent, key, signer)
	fresh.Crossed = crossed.Certificate
	return fresh, err
}

func newCertificate(by pair, hosts []string, now time.Time) (pair, error) {
	parent, signer, err := by.parse()
	if err != nil {
		return pair{}, err
	}
	key, template, err := template(now, certificateLife)
	if err != nil {
		return pair{}, err
	}
	template.Subject = pkix.Name{CommonName: "Touchstone"}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return sign(template, parent, key, signer)
}

// template is a certificate that begins a little before the moment, because the
// clocks of those who look at it are not exactly right.
func template(now time.Time, life time.Duration) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	id := sha256.Sum256(public)
	return key, &x509.Certificate{
		SerialNumber: serial, SubjectKeyId: id[:20],
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life),
	}, nil
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		return pair{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	return pair{Certificate: der, Key: secret}, err
}

func (p pair) parse() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	c, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(p.Key)
	if err != nil {
		return nil, nil, err
	}
	secret, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the key is not an ECDSA key")
	}
	return c, secret, nil
}

// load returns what is served and the authorities in PEM.
func (p *pairs) load() (*tls.Certificate, []byte, error) {
	leaf, key, err := p.Server.parse()
	if err != nil {
		return nil, nil, err
	}
	serving := &tls.Certificate{Certificate: [][]byte{p.Server.Certificate}, PrivateKey: key, Leaf: leaf}
	for i := p.Signer; i >= 0; i-- {
		if p.Authorities[i].Crossed != nil {
			serving.Certificate = append(serving.Certificate, p.Authorities[i].Crossed)
		}
	}
	var bundle bytes.Buffer
	for i := range p.Authorities {
		if err := pem.Encode(&bundle, &pem.Block{Type: "CERTIFICATE", Bytes: p.Authorities[i].Certificate}); err != nil {
			return nil, nil, err
		}
	}
	return serving, bundle.Bytes(), nil
}
