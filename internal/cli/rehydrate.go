package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/sqlite"
)

// ages are the flags of touchstone rehydrate.
type ages struct {
	rehydrating
	dryRun, all bool
	kubeconfig  string
	inCluster   bool
	name, own   string
	containerd  string
	hook        string
	days        int
}

func (a *ages) flags(f *pflag.FlagSet) {
	f.BoolVar(&a.dryRun, "dry-run", false, "only say what is due, when, what it waits for, and what a month looks like")
	f.BoolVar(&a.all, "all", false, "with --dry-run: everything, not only what is due within a day or held")
	f.IntVar(&a.days, "days", 30, "with --dry-run: how many days to look ahead")
	f.StringVar(&a.kubeconfig, "kubeconfig", "", "the cluster, from outside of it")
	f.BoolVar(&a.inCluster, "in-cluster", false, "the cluster that this runs in")
	f.StringVar(&a.name, "name", "", "the name of the cluster or machine, as the rules call it")
	f.StringVar(&a.own, "namespace", install.Name, "the gate's own namespace in the cluster")
	f.StringVar(&a.nodeHook, "node-hook", "", "the command or https:// address that brings another node in the place of one that is drained (default: nodes are left alone)")
	f.StringVar(&a.containerd, "containerd", "", "the socket of a containerd without Kubernetes, whose containers --hook replaces")
	f.StringVar(&a.hook, "hook", "", "the command or https:// address that replaces a container of containerd")
}

func (p *program) rehydrateCommand() *cobra.Command {
	var a ages
	c := &cobra.Command{
		Use:   "rehydrate [WORKLOAD]",
		Short: "Replace what runs before it is old, finding or no finding",
		Long: `Replace what runs before it is old, finding or no finding, by the rows
replace-after, replace-deadline, rebuild-after and after-deadline of the rules.

Before anything is taken away the gate is asked about what would follow. Windows,
freezes, budgets and disruption budgets hold; past the deadline, which is
announced, only freezes do. What was replaced and what is in the way is in the
record, in the log and in the cluster's events.

This runs the controller alone. Part of a server it is touchstone serve
--rehydrate on. To pause it: touchstone freeze, or end it.`,
		Example: `  touchstone rehydrate --dry-run --kubeconfig ~/.kube/config
  touchstone rehydrate --dry-run --in-cluster shop/cart
  touchstone rehydrate --kubeconfig ~/.kube/config --name pay-1
  touchstone rehydrate --containerd /run/containerd/containerd.sock --hook /usr/local/bin/recreate`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !a.dryRun {
				return errors.New("rehydrate takes one workload, with --dry-run\nhint: as in touchstone rehydrate --dry-run shop/cart")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.rehydrate(cmd.Context(), &a, args) },
	}
	a.flags(c.Flags())
	return c
}

// looked is what the command works with, wherever it looks.
type looked struct {
	runs       rehydrate.Runs
	background []func(context.Context) error
	controller func(context.Context) *rehydrate.Controller
}

func (p *program) rehydrate(ctx context.Context, a *ages, args []string) error {
	if one := a.kubeconfig != "" || a.inCluster; one == (a.containerd != "") {
		return errors.New("rehydrate wants a cluster or a containerd\nhint: --kubeconfig, --in-cluster or --containerd")
	}
	a.mode = rehydrateOn
	t, err := p.loadRules()
	if err != nil {
		return err
	}
	return p.withGate(t, func(g *gate.Gate) error {
		folder := filepath.Join(p.settings.data, "rehydrate")
		if a.dryRun { // one that runs has the other, and nothing is to be kept
			scratch, err := os.MkdirTemp("", "touchstone-rehydrate-")
			if err != nil {
				return outside(err)
			}
			defer func() { _ = os.RemoveAll(scratch) }()
			folder = scratch
		}
		store, err := p.ownRecord(ctx, folder)
		if err != nil {
			return outside(err)
		}
		defer func() { _ = store.Close() }() // all is committed
		l, err := p.looks(ctx, a, t, g, store)
		if err != nil {
			return outside(err)
		}
		if a.dryRun {
			return outside(p.showDue(ctx, a, l, args))
		}
		c := l.controller(ctx)
		err = together(ctx, append(l.background, c.Run)...)
		if errors.Is(err, context.Canceled) {
			err = nil // it was told to end
		}
		return outside(err)
	})
}

// ownRecord is the record of a controller that runs alone.
func (p *program) ownRecord(ctx context.Context, folder string) (*sqlite.Store, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the record: %w", err)
	}
	return sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, "record.db"), Now: p.now})
}

// written are the rules, waivers and freezes of files. Nobody promotes or approves
// anything there: what runs already may start again.
type written struct{ *table }

// Book implements gate.Road.
func (w written) Book(context.Context) (*gate.Book, error) {
	source := []byte(w.rules.Version)
	return &gate.Book{Rules: w.rules, Source: source, Waivers: w.waivers, WaiversDigest: w.waiversDigest}, nil
}

// Promotions implements gate.Road.
func (written) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, nil
}

// Improvement implements gate.Road.
func (written) Improvement(context.Context, touchstone.Workload, touchstone.Place, touchstone.Digest) (string, []touchstone.Approval, error) {
	return "", nil, nil
}

func (p *program) looks(ctx context.Context, a *ages, t *table, g *gate.Gate, store record.Store) (*looked, error) {
	if a.containerd != "" {
		return p.looksAtContainerd(a, t, g, store)
	}
	config, err := kube.Connect(a.kubeconfig)
	if err != nil {
		return nil, err
	}
	road, log := written{t}, p.logger()
	cluster, err := kube.New(kube.Config{REST: config, Name: a.name, Road: road, Log: log, Now: p.now})
	if err != nil {
		return nil, err
	}
	mirrors, err := p.settings.mirrorMap()
	if err != nil {
		return nil, err
	}
	platforms, err := cluster.Platforms(ctx)
	if err != nil {
		return nil, err
	}
	door := gate.NewDoor(gate.DoorConfig{
		Gate: g, Store: store, Road: road, Keychain: cluster.Keychain, Platforms: platforms, Log: log, Now: p.now, Enforce: true,
		Registries: oci.Registries{Mirrors: mirrors, Insecure: p.settings.insecure, UserAgent: "touchstone/" + version},
	})
	hook := admit.New(admit.Config{Door: door, Road: road, Cluster: cluster, Store: store, Name: a.name, Own: a.own, Log: log, Now: p.now})
	runs, controller, err := a.rehydrating.inCluster(rehydrationRooms{
		config: config, name: a.name, own: a.own, store: store, door: door, road: road, cluster: cluster, hook: hook, log: log, now: p.now,
	})
	if err != nil {
		return nil, err
	}
	return &looked{runs, []func(context.Context) error{
		door.Run, func(ctx context.Context) error { return cluster.Run(ctx, door) }, runs.Run,
	}, controller}, nil
}

// showDue says what is due, and what the days to come look like. Nothing is asked and
// nothing is written down.
func (p *program) showDue(ctx context.Context, a *ages, l *looked, args []string) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- together(ctx, l.background[max(len(l.background)-1, 0):]...) }()
	defer func() {
		stop()
		<-ended //nolint:errcheck // what ended it is known
	}()
	fleet, limits, err := awaitFleet(ctx, l.runs)
	if err != nil {
		return err
	}
	now := p.now()
	all := rehydrate.Plan(now, fleet, nil, limits)
	if len(args) > 0 {
		all = slices.DeleteFunc(all, func(d rehydrate.Due) bool { return !called(d.Workload, args[0]) })
		if len(all) == 0 {
			return fmt.Errorf("nothing runs that is called %q\nhint: NAMESPACE/NAME, as in shop/cart", args[0])
		}
	}
	slices.SortStableFunc(all, func(a, b rehydrate.Due) int {
		if c := cmp.Compare(never(a.At), never(b.At)); c != 0 {
			return c
		}
		return a.At.Compare(b.At)
	})
	shown := 0
	for i := range all {
		d := &all[i]
		soon := !d.At.IsZero() && d.At.Before(now.Add(24*time.Hour)) || d.Rebuild || d.Hold == rehydrate.HoldUnknown
		if a.all || len(args) > 0 || soon {
			fmt.Fprintln(p.stdout, plain(d.Line(now, p.moment)))
			shown++
		}
	}
	if len(args) > 0 {
		return nil
	}
	fmt.Fprintf(p.stdout, "\n%d of %d workloads are shown here%s\n", shown, len(all), orHint(shown < len(all), " (--all shows the others)"))
	days := rehydrate.Ahead{}.Play(now, now.Add(time.Duration(a.days)*24*time.Hour), fleet, nil, limits)
	showDays(p.stdout, days)
	return nil
}

func never(t time.Time) int {
	if t.IsZero() {
		return 1
	}
	return 0
}

func orHint(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

// called reports whether the workload is called so: NAME, NAMESPACE/NAME or
// KIND NAMESPACE/NAME.
func called(w *rehydrate.Workload, name string) bool {
	return name == w.Name || name == w.Namespace+"/"+w.Name || strings.EqualFold(name, w.String())
}

// awaitFleet waits until it is known what runs.
func awaitFleet(ctx context.Context, runs rehydrate.Runs) (*rehydrate.Fleet, rehydrate.Limits, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		f, limits, err := runs.Fleet(ctx)
		if err == nil {
			return f, limits, nil
		}
		select {
		case <-ctx.Done():
			return nil, limits, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func showDays(w io.Writer, days []rehydrate.Day) {
	if len(days) == 0 {
		return
	}
	fmt.Fprintln(w, "\nif nothing else changes and the gate lets everything follow:")
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DAY\tREPLACED\tBY FORCE\tOLDEST\tHELD")
	for i := range days {
		d := &days[i]
		var held []string
		for by, n := range d.Held {
			held = append(held, fmt.Sprintf("%d %s", n, by))
		}
		slices.Sort(held)
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", d.Date, d.Replaced, d.Forced, rehydrate.Age(d.Oldest), strings.Join(held, ", "))
	}
	_ = t.Flush() // what is wrong with w is told by whoever made it
}
