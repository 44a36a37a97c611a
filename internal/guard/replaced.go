package guard

import (
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// replacements waits for the clean container that comes in the place of one that
// was stopped, to tell of it.
type replacements struct {
	mu      sync.Mutex
	waiting map[string]waitingFor
}

// waitingFor is a container that was stopped.
type waitingFor struct {
	event touchstone.RuntimeEvent
	since time.Time
}

// replacedWithin is how long a successor is waited for: longer than the pause that
// a kubelet makes before it starts a container that keeps ending.
const replacedWithin = 10 * time.Minute

func newReplacements() *replacements { return &replacements{waiting: map[string]waitingFor{}} }

// slot names what is replaced, whatever its id: a container of a pod, else one of a
// workload.
func slot(r *touchstone.Running) string {
	if r.Pod == "" {
		return ""
	}
	w := r.Workload
	if w.Kind == "" || w.Kind == "Pod" {
		return "pod " + r.Namespace + "/" + r.Pod + "/" + w.Container
	}
	return w.Kind + " " + r.Namespace + "/" + w.Name + "/" + w.Container
}

func (r *replacements) await(s *subject, e *touchstone.RuntimeEvent) {
	who := s.who()
	key := slot(&who)
	if key == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[key] = waitingFor{*e, e.At}
}

// came returns what to tell when a container has come in the place of one that was
// stopped, and nil when it has not.
func (r *replacements) came(s *subject, now time.Time) *touchstone.RuntimeEvent {
	who := s.who()
	key := slot(&who)
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.waiting[key]
	if !ok || w.event.Running.ID == who.ID {
		return nil
	}
	delete(r.waiting, key)
	if now.Sub(w.since) > replacedWithin {
		return nil
	}
	e := w.event
	e.ID, e.At, e.Kind, e.Count = record.NewID(now), now, touchstone.EventReplaced, 1
	e.ReplacedBy, e.Steps, e.Action = who.ID, []touchstone.Step{}, touchstone.EffectNone
	return &e
}
