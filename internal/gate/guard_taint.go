package gate

import (
	"context"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// factTaint is the kind of the facts that say what a guard has seen in a container
// that runs still: each a taint.
const factTaint = "taint"

// taint is a finding on one container of one pod. It ends when another container is
// in its place, as the cluster tells it: a guard's own word does not clear what a
// guard has seen.
type taint struct {
	Cluster   string              `json:"cluster,omitempty"`
	Namespace string              `json:"namespace"`
	Pod       string              `json:"pod"`
	PodUID    string              `json:"podUID"`
	ID        string              `json:"id"` // of the container, as the runtime calls it
	Workload  touchstone.Workload `json:"workload"`
	Artifact  string              `json:"artifact"` // repository@digest; empty while it is not known
	Finding   touchstone.Finding  `json:"finding"`
	Last      time.Time           `json:"last"`  // when it was last seen
	Event     string              `json:"event"` // id of the first event
}

const (
	mostThing  = 200 // bytes of what a finding names
	mostTaints = 20  // things on one container; what comes beyond is one more
	others     = "and more"
	// goneAfter is how long a container may be missing from what the cluster tells
	// before it counts as gone: an event may come before the cluster knows the
	// container. forgottenAfter is how long a container to follow is waited for.
	goneAfter      = time.Minute
	forgottenAfter = 10 * time.Minute
)

// byGuard reports whether findings of the rule are a guard's.
func byGuard(rule string) bool {
	switch touchstone.RuntimeEventKind(rule) {
	case touchstone.EventRunUnknown, touchstone.EventChange, touchstone.EventLogin:
		return true
	}
	return false
}

func (t *taint) container() string {
	return strings.Join([]string{t.Cluster, t.PodUID, t.Workload.Container, t.ID}, "/")
}

func (t *taint) key() string { return t.container() + " " + t.Finding.Rule + " " + t.Finding.Thing }

// where names what the finding is on, as Observed.key does.
func (t *taint) where() string {
	return workloadKey(t.Cluster, t.Namespace, t.Workload) + " " + t.Artifact
}

func (t *taint) place() touchstone.Place {
	return touchstone.Place{Cluster: t.Cluster, Namespace: t.Namespace}
}

func (t *taint) fact() (record.Fact, error) {
	return record.Put(factTaint, t.key(), t, "ns:"+t.Namespace)
}

// taintOf is what an event makes of its container; nil where the rules ask for
// nothing, or the cluster knows no such container on the node.
func (s *sighting) taintOf(e *touchstone.RuntimeEvent, pod *Pod) *taint {
	if pod == nil || e.Action == "" || e.Action == touchstone.EffectNone || !byGuard(string(e.Kind)) {
		return nil
	}
	c := pod.find(e.Running.Workload.Container)
	if c == nil {
		return nil
	}
	t := &taint{
		Cluster: e.Place.Cluster, Namespace: pod.Namespace, Pod: pod.Name, PodUID: pod.UID, ID: e.Running.ID, Workload: e.Running.Workload,
		Finding: touchstone.Finding{Rule: string(e.Kind), Thing: thingOf(e), Since: e.At}, Last: latest(e.At, e.Last), Event: e.ID,
	}
	if n, err := parse(c.Image); err == nil && c.Digest.Valid() {
		t.Artifact = artifactKey(n.repository, c.Digest)
	}
	if cell, ok := s.g.book.Rules.Asks(touchstone.RuleMendWithin, &pod.Place); ok && cell.Effect != touchstone.EffectNone && cell.Limit.Op != "" {
		t.Finding.Deadline = t.Finding.Since.Add(cell.Limit.Duration())
	}
	return s.observed.bound(t)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// thingOf is what fails.
func thingOf(e *touchstone.RuntimeEvent) string {
	thing := ""
	switch {
	case e.Execution != nil:
		thing = e.Execution.Path
	case e.Drift != nil:
		thing = e.Drift.Path
	case e.Login != nil:
		thing = string(e.Login.Kind)
		if e.Login.By != "" {
			thing += " by " + e.Login.By
		}
	}
	thing = strings.ReplaceAll(thing, "\x00", "")
	if len(thing) > mostThing {
		thing = strings.ToValidUTF8(thing[:mostThing], "") + "…"
	}
	return thing
}

// bound returns the taint as it is to be kept: with the first moment of the same
// one, and under one name with others where there are too many.
func (v *observed) bound(t *taint) *taint {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := 0
	for _, o := range v.taints {
		if o.container() == t.container() {
			n++
		}
	}
	if v.taints[t.key()] == nil && n >= mostTaints {
		t.Finding.Thing = others
	}
	if old := v.taints[t.key()]; old != nil {
		t.Event, t.Last = old.Event, latest(old.Last, t.Last)
		if old.Finding.Since.Before(t.Finding.Since) {
			t.Finding.Since, t.Finding.Deadline = old.Finding.Since, old.Finding.Deadline
		}
		if t.Artifact == "" {
			t.Artifact = old.Artifact
		}
	}
	return t
}

// tainted remembers taints that are written down, and notes them as findings on what
// runs. What cannot be noted now is noted with the next snapshot.
func (d *Door) tainted(ctx context.Context, g *ground, all []*taint) {
	for _, t := range all {
		d.observed.taint(t)
	}
	for _, t := range all {
		if t.Artifact == "" {
			continue
		}
		place := t.place()
		if err := d.note(ctx, g, &place, t.Workload, t.Artifact); err != nil {
			d.c.Log.Error("what a guard has seen is not noted as a finding yet", "namespace", t.Namespace, "pod", t.Pod, "error", err)
		}
	}
}

// note writes down what is found on a digest in a workload, where that has changed.
func (d *Door) note(ctx context.Context, g *ground, p *touchstone.Place, w touchstone.Workload, artifact string) error {
	now := d.observed.onKey(findingKey(p, w, artifact))
	f, changed, err := d.observed.finding(p, w, artifact, now)
	if err != nil || !changed {
		return err
	}
	change := record.Change{ID: record.NewID(g.now), Kind: "observed", Actor: self, About: f.Key, Body: []byte(`{"found":true}`), Facts: []record.Fact{f}}
	if _, err := d.c.Store.Commit(ctx, change); err != nil {
		return err
	}
	d.observed.found(p, w, artifact, now)
	return nil
}

// taint remembers one in the place of the same.
func (v *observed) taint(t *taint) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(t.key())
	v.taints[t.key()] = t
	if v.dirty[t.where()] == nil {
		v.dirty[t.where()] = map[string]*taint{}
	}
	v.dirty[t.where()][t.key()] = t
}

func (v *observed) untaint(t *taint) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drop(t.key())
}

func (v *observed) drop(key string) {
	old := v.taints[key]
	if old == nil {
		return
	}
	delete(v.taints, key)
	if delete(v.dirty[old.where()], key); len(v.dirty[old.where()]) == 0 {
		delete(v.dirty, old.where())
	}
}

// seenByGuards returns what guards have seen on a digest in a workload, each since the
// first time in any of its pods. v.mu is held.
func (v *observed) seenByGuards(where string) []touchstone.Finding {
	var out []touchstone.Finding
	for _, t := range v.dirty[where] {
		i := slices.IndexFunc(out, func(f touchstone.Finding) bool { return f.Rule == t.Finding.Rule && f.Thing == t.Finding.Thing })
		switch {
		case i < 0:
			out = append(out, t.Finding)
		case t.Finding.Since.Before(out[i].Since):
			out[i] = t.Finding
		}
	}
	return out
}
