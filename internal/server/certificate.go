package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"time"
)

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
