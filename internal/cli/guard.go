package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/report"
	"touchstone.dev/touchstone/internal/rules"
)

// guarding are the flags of the guard.
type guarding struct {
	connection
	node, cluster string
	host          bool
	hostRoot      string
	pins, socket  string
	metrics       string
	without       []string
	now           bool
	format        string
	canaryEvery   time.Duration
	driftEvery    time.Duration
}

func (w *guarding) flags(f *pflag.FlagSet) {
	w.connection.flags(f)
	f.StringVar(&w.node, "node", "", "the node's name, as the cluster calls it (default: the machine's name)")
	f.StringVar(&w.cluster, "cluster", "", "the cluster that the node belongs to, as the rules call it; a server says so itself")
	f.BoolVar(&w.host, "host", false, "guard the machine itself, against the golden image that --golden names, and no containers")
	f.StringVar(&w.hostRoot, "host-root", "", "where the node's root is, when the guard is in a container: /proc/1/root")
	f.StringVar(&w.pins, "pins", "", "folder of the BPF file system in which enforcement outlasts the guard (default: /sys/fs/bpf/touchstone)")
	f.StringVar(&w.socket, "socket", "", "where touchstone guard status asks (default: /run/touchstone/guard.sock)")
	f.StringVar(&w.metrics, "metrics", "", "address and port for Prometheus (default: only on the socket)")
	f.StringSliceVar(&w.without, "without", nil, "a layer that is not to be used: fanotify, bpf")
	f.BoolVar(&w.now, "now", false, "let rules kill at once, without the days in which a kill only blocks (the rules' guard: dry-run)")
	f.StringVarP(&w.format, "output", "o", "", "how events are told on standard output: lines, json (default: lines on a terminal, else json)")
	f.DurationVar(&w.canaryEvery, "canary-every", 0, "how often each layer is proven to work (default: 1m)")
	f.DurationVar(&w.driftEvery, "drift-every", 0, "how often each container is compared with its image although nothing was seen to change (default: 1m)")
}

func (p *program) guardCommand() *cobra.Command {
	var flags guarding
	c := &cobra.Command{
		Use:   "guard",
		Short: "Keep what runs on this node as its image says: see drift and logins, stop or kill where the rules say so",
		Long: `Keep what runs on this node as its image says. Every container of containerd is
watched: what is executed that its image does not hold, files that differ from it,
and people who get in. The rules run-unknown, change and login say what is done:
allow, alert, block, kill.

The rules are those of --rules (or ./touchstone.yaml), else the server's. With a
server the guard tells it everything, and asks it before something is taken away.
A rule that kills only blocks until it has had no case for seven days; --now
lets it kill at once.

It takes root, or the capabilities that docs/guard.md lists.`,
		Example: `  touchstone guard
  touchstone guard --server https://touchstone.example:8443 --token-file /etc/touchstone/token
  touchstone guard --host --golden registry.example/base/debian-vm:12
  touchstone guard status
  touchstone guard doctor`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.guard(cmd.Context(), &flags) },
	}
	flags.flags(c.Flags())
	c.AddCommand(p.guardStatus(), p.guardExplain(), p.guardDoctor(), p.guardEvents())
	return c
}

func (p *program) guard(ctx context.Context, flags *guarding) error {
	tell, err := p.eventTeller(flags.format)
	if err != nil {
		return err
	}
	data := filepath.Join(p.settings.data, "guard")
	c := guard.Config{
		Node: flags.node, Data: data, Socket: flags.socket, Metrics: flags.metrics, Pins: flags.pins, Without: flags.without,
		KillNow: flags.now, CanaryEvery: flags.canaryEvery, DriftEvery: flags.driftEvery,
		Tell: tell, Tool: tool(), Log: p.logger(), Now: p.now,
	}
	if err := p.guardGround(&c, flags); err != nil {
		return err
	}
	return p.withInspector(func(inspector *inspect.Inspector) error {
		c.Evidence = knownManifest(inspector)
		if flags.host {
			if c.Host, err = p.goldenHost(ctx, inspector); err != nil {
				return err
			}
		} else {
			runtime, err := containerd.Open(containerd.Config{Address: p.settings.containerd, HostRoot: flags.hostRoot, Now: p.now, Log: c.Log})
			if err != nil {
				return outside(err)
			}
			defer func() { _ = runtime.Close() }() // it was only asked
			c.Runtime = runtime
		}
		return outside(guard.Run(ctx, c))
	})
}

// guardGround finds what the guard judges by: files, where there are any, else the
// server.
func (p *program) guardGround(c *guard.Config, flags *guarding) error {
	if flags.url == "" {
		t, _, err := p.readRules()
		if err != nil {
			return err
		}
		if t.path == "" {
			return errors.New("a guard needs rules, and there is no " + rules.DefaultFile + " here\nhint: touchstone rules example > " + rules.DefaultFile + ", or name a server with --server")
		}
		if _, err := p.readWaivers(t); err != nil {
			return err
		}
		c.Source = &guard.Files{Rules: t.path, Waivers: t.waiversPath, Cluster: flags.cluster, Now: p.now}
		return nil
	}
	client, err := p.connect(&flags.connection)
	if err != nil {
		return err
	}
	remote := &guard.Remote{Client: client, Node: flags.node, Keep: filepath.Join(c.Data, "ground.json"), Now: p.now}
	c.Source, c.Server = remote, remote
	return nil
}

// eventTeller writes events as people or programs read them.
func (p *program) eventTeller(format string) (func(*touchstone.RuntimeEvent), error) {
	if format == "" {
		format = "json"
		if f, ok := p.stdout.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
			format = "lines"
		}
	}
	switch format {
	case "json":
		e := json.NewEncoder(p.stdout)
		e.SetEscapeHTML(false)
		return func(event *touchstone.RuntimeEvent) { _ = e.Encode(event) }, nil // the journal has it too
	case "lines":
		return func(event *touchstone.RuntimeEvent) { fmt.Fprintln(p.stdout, report.RuntimeLine(event)) }, nil
	default:
		return nil, fmt.Errorf("-o %s: there is no such output format\nhint: lines, json", format)
	}
}

// knownManifest finds manifests in this machine's evidence.
func knownManifest(in *inspect.Inspector) func(context.Context, guard.ImageID, io.Writer) error {
	return func(_ context.Context, image guard.ImageID, to io.Writer) error {
		e, ok := in.Known(image.Config, image.DiffIDs)
		if !ok {
			return fmt.Errorf("finding the evidence of %s: %w", image.Config.Short(), fs.ErrNotExist)
		}
		m, err := in.Manifest(e)
		if err != nil {
			return fmt.Errorf("finding the manifest of %s: %w: %w", image.Config.Short(), fs.ErrNotExist, err)
		}
		defer m.Close()
		_, err = to.Write(m.Bytes())
		return err
	}
}

// goldenHost inspects the golden image that a machine is held against.
func (p *program) goldenHost(ctx context.Context, in *inspect.Inspector) (*guard.Host, error) {
	if p.settings.golden == "" {
		return nil, errors.New("a host is held against its golden image, and none is named\nhint: --golden REF, as in --golden rootfs:debian.tar")
	}
	g := gate.New(gate.Config{Inspector: in, Advisories: p.advisories(), Tool: tool(), Now: p.now})
	all, err := g.Inspect(ctx, p.settings.golden, reference.Options{})
	if err != nil {
		return nil, err
	}
	if len(all) != 1 || all[0].Evidence == nil {
		return nil, fmt.Errorf("%s could not be inspected as one image: %s", p.settings.golden, all[0].Problem)
	}
	evidence := all[0].Evidence
	return &guard.Host{
		Artifact: all[0].Artifact,
		Manifest: func(_ context.Context, to io.Writer) error {
			m, err := in.Manifest(evidence)
			if err != nil {
				return err
			}
			defer m.Close()
			_, err = to.Write(m.Bytes())
			return err
		},
	}, nil
}
