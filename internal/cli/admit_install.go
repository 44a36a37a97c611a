package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/server"
)

// installing are the flags of what is put into a cluster.
type installing struct {
	install.Options
	kubeconfig string
	apply      bool
	name       string
	authority  string
	key        string
	patience   time.Duration
}

func (i *installing) flags(f *pflag.FlagSet) {
	f.StringVar(&i.Image, "image", "", "the server's image, best by digest: a Deployment in the cluster runs it")
	f.StringVar(&i.URL, "url", "", "where the cluster reaches a server outside of it, as in https://10.0.0.7:9443")
	f.StringVar(&i.Namespace, "namespace", install.Name, "the gate's own namespace")
	f.StringVar(&i.name, "name", "", "the name of the cluster, as the rules call it")
	f.StringSliceVar(&i.Namespaces, "only", nil, "only these namespaces, and the system's (default: all)")
	f.BoolVar(&i.NoPullSecrets, "no-pull-secrets", false, "do not let the server read pull secrets: it then has its own credentials alone")
	f.BoolVar(&i.Rehydrate, "rehydrate", false, "let the server replace what is old in the cluster, and have it do so (touchstone serve --rehydrate on)")
	f.BoolVar(&i.RehydrateNodes, "rehydrate-nodes", false, "with --rehydrate: let it drain nodes too, for its --node-hook")
	f.StringVar(&i.Storage, "storage", "5Gi", "size of the volume for the data")
	f.StringVar(&i.StorageClass, "storage-class", "", "class of that volume (default: the cluster's)")
	f.BoolVar(&i.NetworkPolicy, "network-policy", false, "close all ports but the server's")
	f.BoolVar(&i.Guard, "guard", false, "put a guard on each node too, which keeps what runs as its image says")
	f.StringVar(&i.GuardImage, "guard-image", "", "the guards' image (default: the server's)")
	f.StringVar(&i.GuardServer, "guard-server", "", "where guards reach the API of a server outside the cluster, as in https://10.0.0.7:8443")
	f.StringVar(&i.GuardSocket, "guard-socket", "/run/containerd/containerd.sock", "containerd's socket on the nodes")
	f.StringVar(&i.authority, "ca", "", "the authority of a server outside the cluster, its ca.pem (default: the data folder's)")
	f.StringVar(&i.key, "webhook-key", "", "file with the webhooks' key of a server outside the cluster (default: the data folder's webhook.key)")
	i.reaching(f)
}

// reaching are the flags that say which cluster, and whether it is changed.
func (i *installing) reaching(f *pflag.FlagSet) {
	f.StringVar(&i.kubeconfig, "kubeconfig", "", "the cluster to change, with --apply (default: the variable KUBECONFIG, else the cluster that this runs in)")
	f.BoolVar(&i.apply, "apply", false, "apply it, instead of printing it")
	f.DurationVar(&i.patience, "wait", 5*time.Minute, "how long to wait for the server to be ready")
}

func (p *program) admitInstall() *cobra.Command {
	var i installing
	c := &cobra.Command{
		Use:   "install --image IMAGE | --url URL",
		Short: "Print or apply what puts the server at a cluster's door",
		Long: `Print or apply what puts the server at a cluster's door: the server in a namespace
of its own (--image), or the door alone before a server outside (--url).

Every namespace begins in report mode: what the rules refuse is told, and let in.
touchstone admit status shows by owner what enforcement would refuse, and
touchstone admit enforce NAMESPACE switches. System namespaces and the gate's own
never wait for the gate; all others let nothing in while it is down.

With --guard a guard stands on each node besides (touchstone guard), in a namespace
of its own that the privileged Pod Security Standard holds for. It has no right in the
cluster: it asks the server.`,
		Example: `  touchstone admit install --image registry.example/touchstone@sha256:… --name pay-1 > gate.yaml
  touchstone admit install --image registry.example/touchstone@sha256:… --name pay-1 --apply
  touchstone admit install --url https://10.0.0.7:9443 --apply`,
		Args: exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.completeInstall(&i); err != nil {
				return err
			}
			if !i.apply {
				all, err := install.Manifests(i.Options)
				if err != nil {
					return err
				}
				return install.WriteYAML(p.stdout, all)
			}
			return i.change(cmd.Context(), func(ctx context.Context) error {
				config, err := kube.Connect(i.kubeconfig)
				if err != nil {
					return err
				}
				if err := install.Apply(ctx, config, i.Options); err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "installed; every namespace is in report mode\nnext: touchstone admit status\n")
				return nil
			})
		},
	}
	i.flags(c.Flags())
	return c
}

// change bounds the time of what changes a cluster, whose failures are nobody's
// wrong usage.
func (i *installing) change(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, i.patience)
	defer cancel()
	return outside(do(ctx))
}

func (p *program) completeInstall(i *installing) error {
	if (i.Image == "") == (i.URL == "") {
		return errors.New("admit install wants --image or --url: a server in the cluster, or one outside")
	}
	if i.RehydrateNodes && !i.Rehydrate {
		return errors.New("--rehydrate-nodes wants --rehydrate")
	}
	if i.Rehydrate && i.Image != "" {
		i.Args = append(i.Args, "--rehydrate", rehydrateOn)
	}
	if i.name != "" {
		i.Args = append(i.Args, "--name", i.name)
	}
	if i.URL == "" {
		return nil
	}
	path := i.authority
	if path == "" {
		path = server.Authority(p.settings.data)
	}
	var err error
	if i.CABundle, err = os.ReadFile(path); err != nil {
		return fmt.Errorf("reading the server's authority: %w\nhint: start touchstone serve first, or name its ca.pem with --ca", err)
	}
	if i.key != "" {
		data, err := os.ReadFile(i.key)
		i.Key = strings.TrimSpace(string(data))
		return err
	}
	i.Key, err = server.GateKey(p.settings.data)
	return err
}

func (p *program) admitUninstall() *cobra.Command {
	i := installing{}
	c := &cobra.Command{
		Use:   "uninstall --apply",
		Short: "Take the server from a cluster's door; its data stay",
		Args:  exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !i.apply {
				return errors.New("admit uninstall wants --apply: it takes the gate away from the cluster")
			}
			return i.change(cmd.Context(), func(ctx context.Context) error {
				config, err := kube.Connect(i.kubeconfig)
				if err != nil {
					return err
				}
				if err := install.Remove(ctx, config, i.Options); err != nil {
					return err
				}
				fmt.Fprintln(p.stdout, "uninstalled; the data and their namespace stay")
				return nil
			})
		},
	}
	c.Flags().StringVar(&i.Namespace, "namespace", install.Name, "the gate's own namespace")
	i.reaching(c.Flags())
	return c
}
