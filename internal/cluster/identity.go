package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ports are those that the cluster listens on.
type ports struct{ etcd, peer, api, kubelet, health int }

// freePorts returns ports that nobody listens on now.
func freePorts() (p ports, err error) {
	for _, port := range []*int{&p.etcd, &p.peer, &p.api, &p.kubelet, &p.health} {
		l, err := ListenBelow("127.0.0.1")
		if err != nil {
			return p, err
		}
		defer l.Close() // all are held until the last is found: none comes twice
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// ListenBelow listens on a free port below those that the kernel hands out to
// whoever asks for any (ip(7), ip_local_port_range, from 32768). Let go of, such a
// port is not taken by chance before the program that it is for listens on it, or
// listens again.
func ListenBelow(address string) (net.Listener, error) {
	const first, last = 20_000, 32_000
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(first+mathrand.IntN(last-first)))); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("looking for a free port: %w", err)
}

// authority signs the cluster's certificates.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    crypto.Signer
}

// makeIdentities makes a certificate for every part, and a kubeconfig for each
// that calls the API server: by the names and groups that Kubernetes gives them
// (kubernetes.io, "PKI certificates and requirements").
func (c *Cluster) makeIdentities() error {
	a := &authority{folder: c.dir}
	if err := a.make("ca", pkix.Name{CommonName: "ca"}); err != nil {
		return err
	}
	here := []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(nodeAddress), net.ParseIP(apiService)}
	names := []string{"localhost", "kubernetes.default.svc", nodeName}
	if err := a.make("apiserver", pkix.Name{CommonName: "kube-apiserver"}, serves(names, here)); err != nil {
		return err
	}
	if err := a.make("kubelet-serving", pkix.Name{CommonName: nodeName}, serves(names, here)); err != nil {
		return err
	}
	if err := a.make("service-accounts", pkix.Name{CommonName: "service-accounts"}); err != nil {
		return err
	}
	for file, subject := range map[string]pkix.Name{
		"admin":                   member("system:masters", "admin"),
		"apiserver-kubelet":       member("system:masters", "apiserver-kubelet-client"),
		"kubelet":                 member("system:nodes", "system:node:"+nodeName),
		"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
		"kube-scheduler":          {CommonName: "system:kube-scheduler"},
	} {
		if err := a.make(file, subject); err != nil {
			return err
		}
		if err := c.writeKubeconfig(file); err != nil {
			return err
		}
	}
	return c.connect()
}

// connect makes the administrator's client.
func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 500, 1000 // tests make many things at once
	c.admin = config
	c.client, err = kubernetes.NewForConfig(config)
	return err
}

// member is a user of a group, as Kubernetes reads them from a certificate.
func member(group, user string) pkix.Name {
	return pkix.Name{CommonName: user, Organization: []string{group}} //nolint:misspell // the field's name
}

func serves(names []string, addresses []net.IP) func(*x509.Certificate) {
	return func(cert *x509.Certificate) { cert.DNSNames, cert.IPAddresses = names, addresses }
}

// make writes NAME.crt and NAME.key. The first one signs itself and all others.
func (a *authority) make(name string, subject pkix.Name, change ...func(*x509.Certificate)) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(cert)
	}
	if a.cert == nil {
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
		a.cert, a.key = cert, key
	}
	signed, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(a.folder, name+".crt"), "CERTIFICATE", signed); err != nil {
		return err
	}
	return writePEM(filepath.Join(a.folder, name+".key"), "PRIVATE KEY", secret)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// writeKubeconfig writes NAME.conf for the certificate of that name.
func (c *Cluster) writeKubeconfig(name string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{
		Server: fmt.Sprintf("https://127.0.0.1:%d", c.ports.api), CertificateAuthority: filepath.Join(c.dir, "ca.crt"),
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificate: filepath.Join(c.dir, name+".crt"), ClientKey: filepath.Join(c.dir, name+".key"),
	}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: name}
	config.CurrentContext = "test"
	return clientcmd.WriteToFile(*config, filepath.Join(c.dir, name+".conf"))
}
