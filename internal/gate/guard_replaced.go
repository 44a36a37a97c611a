package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// clear ends the taints of containers that are gone, by what the cluster tells, and
// says in their events what is there instead.
func (s *snapshot) clear(ctx context.Context, all []Running) error {
	s.observed.mu.RLock()
	taints := slices.SortedFunc(maps.Values(s.observed.taints), func(a, b *taint) int { return cmp.Compare(a.key(), b.key()) })
	s.observed.mu.RUnlock()
	if len(taints) == 0 {
		return nil
	}
	there, clean := s.places(all, taints)
	for _, t := range taints {
		own := there[t.PodUID+"/"+t.Workload.Container]
		switch {
		case t.Cluster != s.cluster:
			continue
		case own != nil && !follows(own, t):
			s.known(t, own)
			continue
		}
		by := own
		if own == nil {
			others := clean[workloadKey(t.Cluster, t.Namespace, t.Workload)]
			if i := slices.IndexFunc(others, func(r *Running) bool { return follows(r, t) }); i >= 0 {
				by = others[i]
			}
			if gone := s.g.now.Sub(t.Last); gone < goneAfter || by == nil && gone < forgottenAfter {
				continue
			}
		}
		if err := s.end(ctx, t, by); err != nil {
			return err
		}
	}
	return nil
}

// places finds what runs by the pod's UID and container, and what of it has no taint
// by workload and container.
func (s *snapshot) places(all []Running, taints []*taint) (there map[string]*Running, clean map[string][]*Running) {
	dirty := map[string]bool{} // ids of containers
	for _, t := range taints {
		dirty[t.ID] = true
	}
	there, clean = map[string]*Running{}, map[string][]*Running{}
	for i := range all {
		r := &all[i]
		there[r.PodUID+"/"+r.Workload.Container] = r
		if w := workloadKey(s.cluster, r.Place.Namespace, r.Workload); !dirty[r.ID] {
			clean[w] = append(clean[w], r)
		}
	}
	return there, clean
}

// follows reports whether a container came in the place of the one with the taint:
// it is another, and no older. Kubernetes counts whole seconds.
func follows(r *Running, t *taint) bool {
	return r.ID != "" && r.ID != t.ID && !r.Since.Before(t.Last.Truncate(time.Second))
}

// known notes which artifact the container with the taint runs.
func (s *snapshot) known(t *taint, r *Running) {
	n, err := parse(r.Reference)
	if t.Artifact != "" || err != nil || !r.Digest.Valid() {
		return
	}
	found := *t
	found.Artifact = artifactKey(n.repository, r.Digest)
	if f, err := found.fact(); err == nil { // what was JSON once is again
		s.facts = append(s.facts, f)
		s.observed.taint(&found)
	}
}

// end takes a taint away, and says in the events of its container what is there
// instead.
func (s *snapshot) end(ctx context.Context, t *taint, by *Running) error {
	if by != nil {
		err := s.replaced(ctx, t, by.Place.Namespace+"/"+by.Pod+" "+by.ID)
		if errors.Is(err, record.ErrConflict) {
			return nil // its guard tells more of it just now: the next snapshot looks again
		}
		if err != nil {
			return fmt.Errorf("noting what came in the place of %s/%s: %w", t.Namespace, t.Pod, err)
		}
	}
	s.observed.untaint(t)
	s.ended = append(s.ended, t)
	s.facts = append(s.facts, record.Fact{Kind: factTaint, Key: t.key()})
	// What runs no more is not taken in below, and its findings would stay.
	place := t.place()
	now := s.observed.onKey(t.where())
	f, changed, err := s.observed.finding(&place, t.Workload, t.Artifact, now)
	if err != nil || !changed {
		return err
	}
	s.facts = append(s.facts, f)
	s.after = append(s.after, func() { s.observed.found(&place, t.Workload, t.Artifact, now) })
	return nil
}

// mostOfOne is how many events of one container are told of its successor.
const mostOfOne = 200

// replaced says in the events of a container what is there instead.
func (s *snapshot) replaced(ctx context.Context, t *taint, by string) error {
	var changes []record.Change
	var told []*touchstone.RuntimeEvent
	for d, err := range record.List[touchstone.RuntimeEvent](ctx, s.c.Store, record.FactQuery{Kind: factGuardEvent, Tags: []string{"container:" + t.ID}, Descending: true, Limit: mostOfOne}) {
		if err != nil {
			return err
		}
		e := &d.Content
		if e.ReplacedBy != "" || e.Running.PodUID != t.PodUID {
			continue
		}
		e.ReplacedBy = by
		fact, err := eventFact(e)
		if err != nil {
			return err
		}
		fact.If = record.Condition{Seq: d.Seq}
		changes = append(changes, record.Change{
			Kind: factGuardEvent, Actor: self, About: workloadKey(t.Cluster, t.Namespace, t.Workload), Body: fact.Value, Facts: []record.Fact{fact},
		})
		told = append(told, e)
	}
	if len(changes) == 0 {
		return nil
	}
	if _, err := s.c.Store.Commit(ctx, changes...); err != nil {
		return err
	}
	for _, e := range told {
		s.publish(Event{Kind: "guard", At: s.g.now, Guard: e})
	}
	return nil
}
