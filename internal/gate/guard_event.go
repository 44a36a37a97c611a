package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/record"
)

// factGuardEvent is the kind of the facts that hold what guards have seen, by the
// events' own ids, and of their entries, whose bodies are the same: each a
// touchstone.RuntimeEvent.
const factGuardEvent = "guard-event"

// Guard is the agent on a node, as it was recognised.
type Guard struct {
	Node    string
	Actor   string // as the log names it
	Cluster string // that the node is of; empty for none
	// Pods are those of its node that the cluster knows now, by UID; nil where there
	// is no cluster.
	Pods map[string]*Pod
}

// Sighting says what became of an event.
type Sighting struct {
	ID string
	// Problem says why it was refused: it is none of this node's, or no event. To
	// send it again will not help.
	Problem string
	// News is true where it was written down, or something new of it.
	News bool
	// Event is as it is written down, with the login joined; nil where refused.
	Event *touchstone.RuntimeEvent
	// Pod is the pod of the node that it is about; nil for another, or none.
	Pod *Pod
}

// Sight takes in what a guard has seen. An event counts once, by its id, however
// often it is sent; one that has more in it than before (a Count, a step, the end of a
// login) takes the place of what it was. What is refused is refused by itself: the
// others are taken. All that is taken is durable when Sight returns.
//
// The server believes itself before the guard: workload and place of a pod are those
// that the cluster tells, where it knows a pod of the node by the UID.
func (d *Door) Sight(ctx context.Context, by Guard, events []touchstone.RuntimeEvent) ([]Sighting, error) {
	if err := d.load(ctx); err != nil {
		return nil, err
	}
	for range 3 {
		out, err := d.sightOnce(ctx, by, events)
		if !errors.Is(err, record.ErrConflict) {
			return out, err
		}
	}
	return nil, fmt.Errorf("writing down what the guard of %s has seen: %w", by.Node, record.ErrConflict)
}

// sighting is one batch of a guard's on its way.
type sighting struct {
	*Door
	g   *ground
	by  Guard
	out []Sighting
	// changes and taints are of the events that are news, in the order of at.
	at      map[string]int // the place in changes of the event with an id
	changes []record.Change
	taints  []*taint
	taken   map[string]bool // ids of admissions that events of this batch are joined with
}

func (d *Door) sightOnce(ctx context.Context, by Guard, events []touchstone.RuntimeEvent) ([]Sighting, error) {
	g, err := d.ground(ctx)
	if err != nil {
		return nil, err
	}
	s := &sighting{Door: d, g: g, by: by, at: map[string]int{}, taken: map[string]bool{}}
	for i := range events {
		one, err := s.take(ctx, &events[i])
		if err != nil {
			return nil, fmt.Errorf("taking in the event %.40q of %s: %w", events[i].ID, by.Node, err)
		}
		s.out = append(s.out, one)
	}
	if len(s.changes) == 0 {
		return s.out, nil
	}
	if _, err := d.c.Store.Commit(ctx, s.changes...); err != nil {
		return nil, fmt.Errorf("writing down what the guard of %s has seen: %w", by.Node, err)
	}
	d.tainted(ctx, g, s.taints)
	for i := range s.out {
		if one := &s.out[i]; one.News {
			d.publish(Event{Kind: "guard", At: g.now, Guard: one.Event})
		}
	}
	return s.out, nil
}

// take takes in one event.
func (s *sighting) take(ctx context.Context, told *touchstone.RuntimeEvent) (Sighting, error) {
	out := Sighting{ID: told.ID}
	if out.Problem = s.wrong(told); out.Problem != "" {
		return out, nil
	}
	e := seenBy(told)
	out.Pod = s.place(&e)
	before, fact, err := s.before(ctx, e.ID)
	if err != nil {
		return out, err
	}
	if before != nil && before.Node != e.Node {
		out.Problem = "an event with this id came from another node"
		return out, nil
	}
	if before != nil {
		carry(before, &e)
	}
	if err := s.join(ctx, &e); err != nil {
		return out, err
	}
	out.Event = &e
	if before != nil && !grows(before, &e) {
		out.Event = before
		return out, nil
	}
	out.News = true
	return out, s.write(&e, fact, out.Pod)
}

// before returns what is written down under the id, or is about to be; nil for
// nothing.
func (s *sighting) before(ctx context.Context, id string) (*touchstone.RuntimeEvent, record.Condition, error) {
	if i, ok := s.at[id]; ok {
		e := &touchstone.RuntimeEvent{}
		err := json.Unmarshal(s.changes[i].Body, e)
		return e, s.changes[i].Facts[0].If, err
	}
	e, f, err := record.Get[touchstone.RuntimeEvent](ctx, s.c.Store, factGuardEvent, id)
	switch {
	case errors.Is(err, record.ErrNotFound):
		return nil, record.Condition{Absent: true}, nil
	case err != nil:
		return nil, record.Condition{}, err
	}
	return &e, record.Condition{Seq: f.Seq}, nil
}

// write has the event written down.
func (s *sighting) write(e *touchstone.RuntimeEvent, when record.Condition, pod *Pod) error {
	fact, err := eventFact(e)
	if err != nil {
		return err
	}
	fact.If = when
	about := "node/" + e.Node
	if e.Running.Pod != "" {
		about = workloadKey(e.Place.Cluster, e.Running.Namespace, e.Running.Workload)
	}
	change := record.Change{Kind: factGuardEvent, Actor: s.by.Actor, About: about, Body: fact.Value, Facts: []record.Fact{fact}}
	if t := s.taintOf(e, pod); t != nil {
		f, err := t.fact()
		if err != nil {
			return err
		}
		change.Facts = append(change.Facts, f)
		s.taints = append(s.taints, t)
	}
	if i, ok := s.at[e.ID]; ok {
		s.changes[i] = change
		return nil
	}
	s.at[e.ID] = len(s.changes)
	s.changes = append(s.changes, change)
	return nil
}

// place says of an event what the server itself knows of it, and returns the pod of
// the node that it is about.
func (s *sighting) place(e *touchstone.RuntimeEvent) *Pod {
	r := &e.Running
	pod := s.by.Pods[r.PodUID]
	switch {
	case pod != nil:
		r.Namespace, r.Pod = pod.Namespace, pod.Name
		container := r.Workload.Container
		r.Workload = pod.Workload
		r.Workload.Container = container
		e.Place = pod.Place
	case r.PodUID == "" && r.Pod == "":
		e.Place = s.g.book.Rules.PlaceOf(s.by.Cluster, "", s.by.Node, nil)
	default:
		e.Place.Cluster, e.Place.Node = s.by.Cluster, s.by.Node
	}
	return pod
}

// carry takes over what the server has said of the event before, and a guard does
// not know.
func carry(before, e *touchstone.RuntimeEvent) {
	e.Place = before.Place
	e.Running.Namespace, e.Running.Pod, e.Running.Workload = before.Running.Namespace, before.Running.Pod, before.Running.Workload
	if e.ReplacedBy == "" {
		e.ReplacedBy = before.ReplacedBy
	}
	if before.Login != nil && e.Login != nil && before.Login.Admitted != "" {
		e.Login.By, e.Login.Admitted = before.Login.By, before.Login.Admitted
	}
}

// grows reports whether an event says more than the same did before. What was sent
// before that, and comes late, says less.
func grows(before, e *touchstone.RuntimeEvent) bool {
	if e.Count < before.Count || len(e.Steps) < len(before.Steps) || e.Last.Before(before.Last) {
		return false
	}
	if before.Login != nil && (e.Login == nil || e.Login.Ended.IsZero() && !before.Login.Ended.IsZero()) {
		return false
	}
	one, err := json.Marshal(before)
	other, err2 := json.Marshal(e)
	return err != nil || err2 != nil || string(one) != string(other)
}

// seenBy returns the event as the record may hold it: its commands without secrets.
// A guard has taken them out already; whoever stands between is not relied on.
func seenBy(told *touchstone.RuntimeEvent) touchstone.RuntimeEvent {
	e := *told
	if e.Login != nil {
		l := *e.Login
		l.Command = secrets.Command(l.Command)
		l.Admitted = "" // that is for the door to say
		e.Login = &l
	}
	if e.Process != nil {
		p := *e.Process
		p.Command = secrets.Command(p.Command)
		e.Process = &p
	}
	if len(e.Tree) > 0 {
		tree := make([]touchstone.Process, len(e.Tree))
		for i, p := range e.Tree {
			p.Command = secrets.Command(p.Command)
			tree[i] = p
		}
		e.Tree = tree
	}
	return e
}

// eventFact is how an event is found again.
func eventFact(e *touchstone.RuntimeEvent) (record.Fact, error) {
	tags := []string{"kind:" + string(e.Kind), "node:" + e.Node}
	add := func(tag, value string) {
		if value != "" {
			tags = append(tags, tag+value)
		}
	}
	add("action:", string(e.Action))
	add("container:", e.Running.ID)
	add("ns:", e.Running.Namespace)
	if w := &e.Running.Workload; w.Name != "" {
		add("workload:", w.Kind+" "+w.Name)
	}
	if e.Login != nil {
		add("admitted:", e.Login.Admitted)
	}
	if n, err := parse(e.Artifact.Name); err == nil {
		add("artifact:", n.repository)
		if e.Artifact.Digest != "" {
			add("artifact:", artifactKey(n.repository, e.Artifact.Digest))
		}
	}
	add("artifact:", string(e.Artifact.Digest))
	return record.Put(factGuardEvent, e.ID, e, tags...)
}
