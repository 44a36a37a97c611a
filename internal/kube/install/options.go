package install

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/kube/admit"
)

// Options say what is installed. Either Image or URL is set.
type Options struct {
	// Image is the server's, best by digest; a Deployment runs it, and a Service
	// stands before it.
	Image string
	// URL is where a server outside the cluster is reached: "https://10.0.0.7:8443".
	URL string
	// Namespace is the gate's own; "touchstone" when empty.
	Namespace string
	// Args are added to those with which the Deployment runs "touchstone serve".
	Args []string
	// CABundle is what the server's certificate is signed by, in PEM. Apply asks the
	// server that it installs when it is empty; without an Image it is needed.
	CABundle []byte
	// Key is what the server wants at the end of the webhooks' paths (admit.Config).
	// Apply asks the server that it installs when it is empty.
	Key string
	// Namespaces are those that the gate looks at; all when empty. System ones are
	// looked at always.
	Namespaces []string
	// System are the namespaces that the cluster cannot start without;
	// admit.DefaultSystem when nil.
	System []string
	// NoPullSecrets withholds the right to read secrets: images are then pulled with
	// the server's own credentials alone.
	NoPullSecrets bool
	// Storage is the size of the volume for the data; "5Gi" when empty. StorageClass
	// is its class; the cluster's default when empty.
	Storage, StorageClass string
	// NetworkPolicy closes all ports but the server's, where the cluster enforces it.
	NetworkPolicy bool
	// Rehydrate lets the server replace what is old, and RehydrateNodes nodes too.
	Rehydrate, RehydrateNodes bool
	// Guard puts a guard on each node, of the image GuardImage; the server's own when
	// that is empty. GuardServer is where it reaches the server's API: the Service when
	// empty. GuardSocket is containerd's on the nodes;
	// "/run/containerd/containerd.sock" when empty.
	Guard                                bool
	GuardImage, GuardServer, GuardSocket string
}

// Name is that of everything that is installed and needs but one.
const Name = "touchstone"

func (o *Options) complete() error {
	if (o.Image == "") == (o.URL == "") {
		return errors.New("either the server's image or the URL of a server outside the cluster is needed")
	}
	if o.URL != "" && !strings.HasPrefix(o.URL, "https://") {
		return fmt.Errorf("webhooks are called by https:// alone, not %s", o.URL)
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.Namespace == "" {
		o.Namespace = Name
	}
	if o.System == nil {
		o.System = admit.DefaultSystem()
	}
	if o.Storage == "" {
		o.Storage = "5Gi"
	}
	if o.GuardImage == "" {
		o.GuardImage = o.Image
	}
	if o.GuardSocket == "" {
		o.GuardSocket = "/run/containerd/containerd.sock"
	}
	if o.Guard && (o.GuardImage == "" || o.URL != "" && o.GuardServer == "") {
		return errors.New("the guards of a server outside the cluster need an image, and the URL of its API")
	}
	return nil
}

// lenient lists the namespaces whose webhooks ignore failures.
func (o *Options) lenient() []string {
	all := append(slices.Clone(o.System), o.Namespace)
	if o.Guard {
		all = append(all, GuardNamespace(o.Namespace))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// serviceHosts are the names by which the API server and people in the cluster call
// the server: its certificate is for them.
func (o *Options) serviceHosts() []string {
	host := Name + "." + o.Namespace + ".svc"
	return []string{host, host + ".cluster.local"}
}
