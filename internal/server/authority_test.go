package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// believed calls the server at the moment with the authorities, and reports why
// it is not believed.
func believed(t *testing.T, address string, bundle []byte, now time.Time) error {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Time: func() time.Time { return now }}, DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr}).Get("https://" + address)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func TestCertificatesAreRenewedAndCallersKeepBelieving(t *testing.T) {
	dir := t.TempDir()
	a, err := openAuthority(dir, []string{"touchstone.svc", "10.0.0.7"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetCertificate: a.Certificate}
	// httptest puts in a certificate of its own when there is none.
	server.Listener = tls.NewListener(server.Listener, server.TLS)
	server.Start()
	defer server.Close()
	address := server.Listener.Addr().String()

	// pinned is what somebody has copied, and copies again half a year after it
	// has changed; current is what kube keeps.
	pinned, changed := a.CABundle()
	copied, leaves, authorities := noon, 0, 0
	var leaf []byte
	for now := noon; now.Before(noon.Add(10 * 365 * 24 * time.Hour)); now = now.Add(12 * 24 * time.Hour) {
		if err := a.Renew(now); err != nil {
			t.Fatal(err)
		}
		current, _ := a.CABundle()
		select {
		case <-changed:
			authorities++
			_, changed = a.CABundle()
			copied = now.Add(175 * 24 * time.Hour)
		default:
		}
		if now.After(copied) && !bytes.Equal(pinned, current) {
			pinned = current
		}
		c, _ := a.Certificate(nil)
		if !bytes.Equal(leaf, c.Certificate[0]) {
			leaf, leaves = c.Certificate[0], leaves+1
		}
		if left := c.Leaf.NotAfter.Sub(now); left < 17*24*time.Hour {
			t.Fatalf("at %s the certificate has %s left", now, left)
		}
		for what, bundle := range map[string][]byte{"current": current, "pinned": pinned} {
			if err := believed(t, address, bundle, now); err != nil {
				t.Fatalf("at %s with the %s authorities: %v", now.Format(time.DateOnly), what, err)
			}
		}
	}
	if leaves < 45 || authorities < 6 {
		t.Errorf("%d certificates and %d changes of authorities in ten years", leaves, authorities)
	}
}

func TestACertificateIsKeptOverAStartAndNamesTheHosts(t *testing.T) {
	dir := t.TempDir()
	first, err := openAuthority(dir, []string{"a.example"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openAuthority(dir, []string{"a.example"}, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.serving.Certificate[0], again.serving.Certificate[0]) {
		t.Error("a second start has made another certificate")
	}
	other, err := openAuthority(dir, []string{"a.example", "b.example", "::0001"}, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.serving.Leaf.VerifyHostname("b.example"); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(first.bundle, other.bundle) {
		t.Error("another name has made another authority")
	}
	serial := other.serving.Leaf.SerialNumber
	if err := other.Renew(noon.Add(2 * time.Hour)); err != nil || other.serving.Leaf.SerialNumber.Cmp(serial) != 0 {
		t.Error("a certificate was made anew that is as it should be", err)
	}
	if info, err := os.Stat(filepath.Join(dir, keysFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestAClockThatWasWrongIsPutRight(t *testing.T) {
	dir := t.TempDir()
	if _, err := openAuthority(dir, nil, noon.Add(50*365*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	a, err := openAuthority(dir, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	if leaf := a.serving.Leaf; noon.Before(leaf.NotBefore) || len(a.kept.Authorities) != 1 {
		t.Errorf("from %s, %d authorities", leaf.NotBefore, len(a.kept.Authorities))
	}
}

func TestKeysThatCannotBeReadAreAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, keysFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAuthority(dir, nil, noon); err == nil {
		t.Error("no error")
	}
	half, _ := json.Marshal(pairs{Authorities: []pair{{}}, Signer: 7})
	if err := os.WriteFile(filepath.Join(dir, keysFile), half, 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := openAuthority(dir, nil, noon); err != nil || a.serving == nil {
		t.Error("keys that hold nothing are made anew", err)
	}
}
