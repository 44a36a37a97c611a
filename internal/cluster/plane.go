package cluster

import (
	"context"
	"fmt"
	"path/filepath"
)

// controlPlane returns etcd and kube-apiserver, and the controllers and the
// scheduler where there is a node.
func (c *Cluster) controlPlane(p programs) []*daemon {
	file := func(name string) string { return filepath.Join(c.dir, name) }
	etcd := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.peer)
	// The address is advertised to nobody; without a node no other is sure to be
	// there.
	advertised := "127.0.0.1"
	if c.options.Node {
		advertised = nodeAddress
	}
	api := []string{
		p["kube-apiserver"], "--etcd-servers=" + etcd, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.ports.api),
		"--advertise-address=" + advertised, "--endpoint-reconciler-type=none", "--service-cluster-ip-range=" + services,
		"--allow-privileged", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + file("ca.crt"), "--tls-cert-file=" + file("apiserver.crt"), "--tls-private-key-file=" + file("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + file("service-accounts.crt"),
		"--service-account-signing-key-file=" + file("service-accounts.key"),
		"--shutdown-delay-duration=0s", "--cert-dir=" + file("certs"),
	}
	if c.options.Node {
		api = append(api, "--kubelet-certificate-authority="+file("ca.crt"), "--kubelet-client-certificate="+file("apiserver-kubelet.crt"),
			"--kubelet-client-key="+file("apiserver-kubelet.key"), "--kubelet-preferred-address-types=InternalIP",
			"--enable-aggregator-routing") // webhooks by Service are called at the pod's address: there is no kube-proxy
	} else {
		api = append(api, "--disable-admission-plugins=ServiceAccount") // no controller makes the account that it asks for
	}
	plane := []*daemon{
		{name: "etcd", argv: []string{
			p["etcd"], "--data-dir=" + file("etcd"), "--listen-client-urls=" + etcd, "--advertise-client-urls=" + etcd,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer, "--unsafe-no-fsync", "--log-level=warn",
		}},
		{name: "kube-apiserver", argv: append(api, c.options.Flags...), ready: c.apiReady},
	}
	if !c.options.Node {
		return plane
	}
	return append(plane,
		&daemon{name: "kube-controller-manager", argv: []string{
			p["kube-controller-manager"], "--kubeconfig=" + file("kube-controller-manager.conf"), "--leader-elect=false", "--secure-port=0",
			"--use-service-account-credentials", "--root-ca-file=" + file("ca.crt"), "--service-account-private-key-file=" + file("service-accounts.key"),
		}},
		&daemon{name: "kube-scheduler", argv: []string{
			p["kube-scheduler"], "--kubeconfig=" + file("kube-scheduler.conf"), "--leader-elect=false", "--secure-port=0",
		}})
}

func (c *Cluster) apiReady(ctx context.Context) error {
	return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}
