package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
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
