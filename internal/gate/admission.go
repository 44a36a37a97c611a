package gate

import (
	"context"
	"encoding/json"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// admission is the change that says what became of this very request: of the
// decision it holds no more than the id.
func (a *asking) admission(one *decided) []record.Change {
	r, q := a.r, &a.r.Question
	admit := !a.mode.Enforced || one.Verdict == touchstone.Allowed
	if r.DryRun || !atDoor(q.Occasion) {
		return nil
	}
	quiet := r.Quiet && one.Verdict == touchstone.Allowed
	change := record.Change{ID: record.NewID(a.g.now), Kind: "admission", Actor: r.Actor, About: a.about()}
	body := admitted{one.ID, a.about(), a.n.name(), q.Place.Cluster, q.Place.Namespace, q.Workload, r.Owner, one.Verdict, a.mode.Enforced, quiet}
	var err error
	if change.Body, err = json.Marshal(body); err != nil {
		change.Body = nil // the store refuses it
	}
	var facts []record.Fact
	put := func(kind, key string, v any, when record.Condition) {
		f, err := record.Put(kind, key, v)
		if err == nil {
			f.If = when
			facts = append(facts, f)
		}
	}
	if admit && r.Owner != "" && a.n.digest == "" && !a.pinned && a.digest != "" {
		put(factPin, a.pinKey(), a.digest, record.Condition{Absent: true})
	}
	if now := a.entered(one, admit); now != nil && !quiet {
		put(factRan, a.before.key, now, record.Condition{})
	}
	if a.scan != nil && waits(r) && !admit {
		if f, err := waitingFact(a.key, r); err == nil && a.queue.join(a.scan, f.Key, mostWaiting) {
			facts = append(facts, f)
		}
	}
	if quiet && len(facts) == 0 {
		return nil
	}
	change.Facts = facts
	return []record.Change{change}
}

// admitted is the body of an entry "admission".
type admitted struct {
	Decision  string              `json:"decision"` // id
	Artifact  string              `json:"artifact"`
	Reference string              `json:"reference"`
	Cluster   string              `json:"cluster,omitempty"`
	Namespace string              `json:"namespace,omitempty"`
	Workload  touchstone.Workload `json:"workload"`
	Owner     string              `json:"owner,omitempty"`
	Verdict   touchstone.Verdict  `json:"verdict"`
	Enforced  bool                `json:"enforced"`
	Ahead     bool                `json:"ahead,omitempty"` // asked ahead; the decision itself was not written down
}

// about names the artifact in the log.
func (a *asking) about() string {
	if a.key != "" {
		return a.key
	}
	return a.n.name()
}

// write commits, together with the scan where that is new, and then remembers what
// was written.
func (a *asking) write(ctx context.Context, changes []record.Change) error {
	fresh := a.fresh.Swap(nil)
	if fresh != nil {
		change, err := scanChange(a.g.now, &fresh.Scan)
		if err != nil {
			a.queue.settle(fresh, false)
			return err
		}
		changes = append(changes, change)
	}
	if len(changes) == 0 {
		return nil
	}
	_, err := a.c.Store.Commit(ctx, changes...)
	if fresh != nil {
		s := fresh.Scan
		if a.queue.settle(fresh, err == nil); err == nil {
			a.publish(Event{Kind: "scan", At: a.g.now, Scan: &s})
		}
	}
	if err != nil {
		for i := range changes {
			for _, f := range changes[i].Facts {
				if f.Kind == factWaiting {
					a.queue.leave(a.scan, f.Key)
				}
			}
		}
		return err
	}
	for i := range changes {
		for _, f := range changes[i].Facts {
			switch f.Kind {
			case factPin:
				a.pins.put(f.Key, a.digest, int64(200+len(f.Key)))
			case factRan:
				now := &ran{}
				if json.Unmarshal(f.Value, now) == nil {
					a.ran.put(f.Key, now, int64(200+len(f.Key)))
				}
			}
		}
	}
	return nil
}
