package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/advisory/fetch"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/server"
)

// serving are the flags of the server.
type serving struct {
	listen, webhook string
	hosts           []string
	cluster         string
	enforce         bool
	platforms       []string
	workers, queue  int
	updateEvery     time.Duration
	kubeconfig      string
	inCluster       bool
	own, guards     string
	controllers     []string
	old             rehydrating
}

func (s *serving) flags(f *pflag.FlagSet) {
	f.StringVar(&s.listen, "listen", "127.0.0.1:8443", "address and port of the API")
	f.StringVar(&s.webhook, "webhook-listen", "127.0.0.1:9443", "address and port at which a cluster asks")
	f.StringSliceVar(&s.hosts, "hostname", nil, "name or address that the certificate is for, beside localhost")
	f.StringVar(&s.cluster, "name", "", "the name of the cluster that the server stands in, as the rules call it")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "stand at the door of this cluster, from outside of it")
	f.BoolVar(&s.inCluster, "in-cluster", false, "stand at the door of the cluster that this runs in")
	f.StringVar(&s.own, "namespace", install.Name, "the gate's own namespace in the cluster")
	f.StringVar(&s.old.mode, "rehydrate", rehydrateOff, "replace what is old in the cluster: off, plan (which measures and does nothing), or on; on needs the rights of touchstone admit install --rehydrate")
	f.StringVar(&s.old.nodeHook, "node-hook", "", "the command or https:// address that brings another node in the place of one that is drained (default: nodes are left alone)")
	f.StringVar(&s.guards, "guard-namespace", "", "the namespace of the guards on the cluster's nodes, as touchstone admit install --guard makes it (default: none)")
	f.StringSliceVar(&s.controllers, "controllers", nil, "users whose owner references to Kubernetes' own kinds are believed, with * for any run of characters (default: the controller manager and kube-system's service accounts)")
	f.BoolVar(&s.enforce, "enforce", false, "enforce the rules in namespaces for which nobody has said so (default: report)")
	f.StringSliceVar(&s.platforms, "platform", nil, "platforms that places run, as in linux/arm64; of an index each is judged (default: those of the cluster's nodes when the server starts, else this machine's)")
	f.IntVar(&s.workers, "workers", 2, "how many artifacts are scanned at once")
	f.IntVar(&s.queue, "queue", 20_000, "how many scans may wait")
	f.DurationVar(&s.updateEvery, "update-every", 0, "fetch advisories this often, as in 1h (default: never; touchstone db update does)")
}

func (p *program) serveCommand() *cobra.Command {
	var flags serving
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: it remembers, scans, judges and answers",
		Long: `Run the server: it remembers every artifact and decision, scans what it has not
seen, runs the release rules, and answers people, pipelines and a cluster.

There is nothing to set up. The first start makes the data folder, a certificate
and its authority (ca.pem), the keys, and the first administrator's token, which
it tells once. The rules it begins with are those of --rules, else of
./touchstone.yaml, else the built-in example; later they change by
touchstone rules apply alone.

Nothing is fetched unless --update-every says so. Credentials for registries are
those of docker's configuration (DOCKER_CONFIG).`,
		Example: `  touchstone serve
  touchstone serve --data /var/lib/touchstone --listen :8443 --hostname touchstone.example --update-every 1h`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), &flags) },
	}
	flags.flags(c.Flags())
	c.AddCommand(p.serveRestore(), p.serveToken())
	return c
}

// serve runs the server until it is interrupted, which is how it ends well.
func (p *program) serve(ctx context.Context, flags *serving) error {
	table, warnings, err := p.readRules()
	if err != nil {
		return err
	}
	p.warn(warnings)
	if table.path == "" {
		p.note("no %s here: a first start begins with the built-in example (touchstone rules example)", rules.DefaultFile)
	}
	source := rules.Example()
	if table.path != "" {
		if source, err = readFile(table.path); err != nil {
			return fmt.Errorf("reading the rules: %w", err)
		}
	}
	if waivers, err := p.readWaivers(table); err != nil || waivers != nil {
		p.note("%s is ignored: a server's waivers are asked for and approved (touchstone waive import)", table.waiversPath)
	}
	mirrors, err := p.settings.mirrorMap()
	if err != nil {
		return err
	}
	door, err := flags.atTheDoor(ctx)
	if err != nil {
		return err
	}
	return p.withGate(table, func(g *gate.Gate) error {
		s, err := server.New(ctx, server.Config{
			Gates: door.gates, Keychain: door.keychain,
			Data: p.settings.data, Listen: flags.listen, WebhookListen: flags.webhook, Hosts: flags.hosts, Cluster: flags.cluster, Tool: tool(),
			Gate: g, Rules: source, RulesName: orExample(table.path), Enforce: flags.enforce, Platforms: door.platforms,
			Workers: flags.workers, Queue: flags.queue,
			Registries:  oci.Registries{Mirrors: mirrors, Insecure: p.settings.insecure, UserAgent: "touchstone/" + version},
			UpdateEvery: flags.updateEvery, Update: p.fetchAdvisories,
			Tell: p.stderr, Log: p.logger(), Now: p.now,
		})
		if err != nil {
			return outside(err)
		}
		return outside(s.Run(ctx))
	})
}

// atTheDoor is what a cluster adds to the server: who asks it, the pull secrets, and
// what its nodes run.
type atTheDoor struct {
	gates     []func(*server.Rooms) (*server.Gate, error)
	keychain  func(context.Context, gate.Credential) (authn.Keychain, error)
	platforms []string
}

func (s *serving) atTheDoor(ctx context.Context) (atTheDoor, error) {
	if err := s.old.check(); err != nil {
		return atTheDoor{}, err
	}
	if s.kubeconfig == "" && !s.inCluster {
		if s.old.mode != rehydrateOff {
			return atTheDoor{}, errors.New("--rehydrate is about a cluster\nhint: --kubeconfig or --in-cluster names one; touchstone rehydrate does plain containerd")
		}
		return atTheDoor{gates: []func(*server.Rooms) (*server.Gate, error){alone(s.own, s.controllers)}, platforms: s.platforms}, nil
	}
	config, err := kube.Connect(s.kubeconfig)
	if err != nil {
		return atTheDoor{}, err
	}
	cluster, err := kube.New(kube.Config{REST: config, Name: s.cluster})
	if err != nil {
		return atTheDoor{}, err
	}
	d := atTheDoor{gates: []func(*server.Rooms) (*server.Gate, error){standing(config, s.own, s.guards, s.controllers, s.old)}, keychain: cluster.Keychain, platforms: s.platforms}
	if len(d.platforms) > 0 {
		return d, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// A cluster that is just starting has no nodes yet: then this machine's holds.
	d.platforms, _ = cluster.Platforms(ctx)
	return d, nil
}

func orExample(path string) string {
	if path == "" {
		return "the built-in example"
	}
	return path
}

// logger writes what the server does to stderr.
func (p *program) logger() *slog.Logger {
	level := slog.LevelInfo
	if p.settings.quiet {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}

// fetchAdvisories is what touchstone db update does.
func (p *program) fetchAdvisories(ctx context.Context) error {
	o := advisory.UpdateOptions{Client: &fetch.Client{Agent: "touchstone/" + version}}
	o.Now = p.now()
	_, err := p.advisories().Update(ctx, o)
	return err
}

func (p *program) serveRestore() *cobra.Command {
	var unsigned bool
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Put a backup in the place of the record; the server must not run",
		Long: `Put a backup in the place of the record. It is verified first, its chain and its
checkpoints; what was there is kept beside it. Keys, certificate and evidence stay
as they are: evidence that is missing is found again by a scan. The server must
not run.

On another machine the file log.key of the server that wrote the backup must lie
in the data folder first: its checkpoints are verified by it.`,
		Args: exactly(1, "a backup to restore"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := server.Restore(cmd.Context(), p.settings.data, args[0], unsigned)
			if err != nil {
				return outside(err)
			}
			fmt.Fprintf(p.stdout, "restored %s\n", args[0])
			if kept != "" {
				fmt.Fprintf(p.stdout, "what was there before is kept as %s\n", kept)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&unsigned, "unsigned", false, "although log.key is lost, and nobody knows whether the end was cut off")
	return c
}

func (p *program) serveToken() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "token",
		Short: "Make an administrator's token on the server's own disk, when nobody has one; the server must not run",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			got, err := server.LocalToken(cmd.Context(), p.settings.data, api.TokenAsk{Name: name, Role: api.Admin}, p.now)
			if err != nil {
				return outside(err)
			}
			fmt.Fprintln(p.stdout, got.Secret)
			p.note("token %s for %s, %s, until %s", got.ID, plain(got.Name), got.Role, p.moment(got.Expires))
			return nil
		},
	}
	c.Flags().StringVar(&name, "for", "admin", "the person whose token it is")
	return c
}
