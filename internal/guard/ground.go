package guard

import (
	"context"
	"fmt"
	"time"

	"touchstone.dev/touchstone"
)

// Ground is what the guard judges by, as of one moment.
type Ground struct {
	Rules         *touchstone.Rules
	Waivers       []touchstone.Waiver
	WaiversDigest touchstone.Digest
	// Cluster is the name of the cluster that the node belongs to; empty where
	// there is none.
	Cluster string
	// Pods are those of this node by their UID; nil where nobody tells, and the
	// place of a container is then found by its labels alone.
	Pods map[string]Pod
	// Host is the place of the node itself; nil where nobody tells.
	Host *touchstone.Place
	// Reported names the namespaces whose rules are reported and not enforced.
	Reported map[string]bool
	// Confirmed is when this was last known to be current.
	Confirmed time.Time
}

// Pod is what a cluster knows of one of the node's pods.
type Pod struct {
	Namespace string
	Name      string
	Workload  touchstone.Workload // that keeps it; Container is empty
	Place     touchstone.Place
	// Declared are the commands of its probes and hooks, by container.
	Declared map[string][][]string
	// Images are the images as the pod writes them, by container.
	Images map[string]string
	// Debug names its ephemeral containers.
	Debug map[string]bool
}

// Source tells the ground. A node has one: files beside the guard, or a server.
type Source interface {
	// Ground waits until what is to be judged by is no longer the ground that is
	// given (nil at first), and returns the new one. It may return an equal one
	// to confirm it. An error leaves the last ground in force.
	Ground(ctx context.Context, last *Ground) (*Ground, error)
}

// place returns where a container of the pod, or of the namespace, stands, and
// what keeps it.
func (g *Ground) place(namespace, podUID, node string) (touchstone.Place, *Pod) {
	if p, ok := g.Pods[podUID]; ok && podUID != "" {
		return p.Place, &p
	}
	return g.Rules.PlaceOf(g.Cluster, namespace, node, nil), nil
}

// followGround takes over other rules, waivers and places as they come.
func (g *Guard) followGround(ctx context.Context) error {
	for pause := time.Second; ctx.Err() == nil; {
		last := g.ground.Load()
		next, err := g.c.Source.Ground(ctx, last)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			text := err.Error()
			if old := g.groundProblem.Swap(&text); old == nil {
				g.trouble(fmt.Sprintf("judging by rules of %s: %v", last.Confirmed.UTC().Format(time.RFC3339), err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, 30*time.Second)
			continue
		}
		pause = time.Second
		g.groundProblem.Store(nil)
		g.ground.Store(next)
		g.probation.setDays(next.Rules.Guard.DryRun)
		if next.Rules.Version != last.Rules.Version {
			// What may be written to, and what a change means, may be another now.
			for _, s := range g.all() {
				s.drift.close()
			}
		}
		if next.Rules != last.Rules || next.WaiversDigest != last.WaiversDigest || next.Pods != nil {
			g.settleAll(next)
		}
	}
	return nil
}

// settleAll gives every subject its place and policy anew.
func (g *Guard) settleAll(ground *Ground) {
	for _, s := range g.all() {
		s.settle(ground, g.c.Node)
		g.watchLogins(s)
		g.applyPolicy(s)
		if s.pardoned(g.c.Now(), true) {
			g.layers.judgeAnew(s)
		}
	}
}

// runPolicies finds policies anew whose time is over: a waiver has lapsed, a grace
// period is over, a rule has been watched for long enough.
func (g *Guard) runPolicies(ctx context.Context) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		now := g.c.Now()
		for _, s := range g.all() {
			s.mu.Lock()
			due := !s.policy.until.IsZero() && !now.Before(s.policy.until)
			s.mu.Unlock()
			if due {
				g.applyPolicy(s)
			}
			if s.pardoned(now, false) {
				g.layers.judgeAnew(s)
			}
		}
	}
}
