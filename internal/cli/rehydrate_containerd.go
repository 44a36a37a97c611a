package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// containers are those of a containerd without Kubernetes: each is a workload by the
// name that it has there, and a hook replaces it.
type containers struct {
	runtime   *containerd.Runtime
	name      string
	rules     *table
	calendars rehydrate.Calendars
	now       func() time.Time
	images    map[rehydrate.Identity]string
}

// kubernetesNamespace is where a kubelet keeps its containers: those are a cluster's.
const kubernetesNamespace = "k8s.io"

// Fleet implements rehydrate.Runs.
func (c *containers) Fleet(ctx context.Context) (*rehydrate.Fleet, rehydrate.Limits, error) {
	all, err := c.runtime.List(ctx)
	if err != nil {
		return nil, rehydrate.Limits{}, err
	}
	policies := c.calendars.Policies(c.rules.rules, c.rules.waivers, nil, c.now())
	f := &rehydrate.Fleet{}
	c.images = map[rehydrate.Identity]string{}
	for i := range all {
		one := &all[i]
		if one.Namespace == kubernetesNamespace || !one.Status.Alive() || one.Started.IsZero() {
			continue
		}
		place := c.rules.rules.PlaceOf(c.name, one.Namespace, "", nil)
		w := rehydrate.Workload{
			Identity: rehydrate.Identity{Cluster: c.name, Namespace: one.Namespace, Kind: "Container", Name: one.ID}, UID: one.ID, Owner: place.Owner,
			Policy: policies.Of(&place, []touchstone.Artifact{{Name: one.Image.Name, Kind: touchstone.KindImage}}),
			Means:  rehydrate.Handed, Started: one.Started, Pods: 1, Ready: 1, Wanted: 1, Image: one.Image.Name,
		}
		c.images[w.Identity] = one.Image.Name
		f.Workloads = append(f.Workloads, w)
	}
	return f, policies.Limits(), nil
}

// checks asks the gate of this very program about an image that would be started
// again.
type checks struct {
	gate *gate.Gate
	c    *containers
	p    *program
}

// Ask implements rehydrate.Gate.
func (k *checks) Ask(ctx context.Context, w *rehydrate.Workload) (rehydrate.Follower, error) {
	image := k.c.images[w.Identity]
	if image == "" {
		return rehydrate.Follower{Answer: rehydrate.Undecided, Why: "nobody knows its image"}, nil
	}
	place := k.c.rules.rules.PlaceOf(k.c.name, w.Namespace, "", nil)
	open, err := k.p.openOptions(opening{})
	if err != nil {
		return rehydrate.Follower{}, err
	}
	doc, err := k.gate.Check(ctx, gate.Ask{Reference: image, Open: open, Place: &place})
	if err != nil {
		return rehydrate.Follower{Answer: rehydrate.Unpullable, Why: err.Error()}, nil
	}
	why := strings.Join(doc.Decision.Refusing(), ", ")
	switch doc.Verdict() {
	case touchstone.Allowed:
		return rehydrate.Follower{Answer: rehydrate.Allowed}, nil
	case touchstone.Refused:
		return rehydrate.Follower{Answer: rehydrate.Refused, Why: why}, nil
	default:
		return rehydrate.Follower{Answer: rehydrate.Undecided, Why: why}, nil
	}
}

// single is the lease of a machine: the record is locked by the one that has it.
type single struct{}

func (single) Hold(context.Context) (bool, error) { return true, nil }
func (single) Release(context.Context) error      { return nil }

func (p *program) looksAtContainerd(a *ages, t *table, g *gate.Gate, store record.Store) (*looked, error) {
	hook := hookOf(a.hook)
	if hook == nil && !a.dryRun {
		return nil, errors.New("nobody replaces a container of containerd but --hook\nhint: a command or an https:// address; see docs/rehydration.md")
	}
	runtime, err := containerd.Open(containerd.Config{Address: a.containerd, Now: p.now, Log: p.logger()})
	if err != nil {
		return nil, fmt.Errorf("reaching containerd: %w", err)
	}
	c := &containers{runtime: runtime, name: a.name, rules: t, now: p.now}
	return &looked{runs: c, controller: func(context.Context) *rehydrate.Controller {
		return rehydrate.New(rehydrate.Config{
			Store: store, Runs: c, Gate: &checks{g, c, p}, Hands: &rehydrate.HookHands{Hook: hook, Runs: c}, Lease: single{}, Cluster: a.name, Log: p.logger(), Now: p.now,
		})
	}}, nil
}
