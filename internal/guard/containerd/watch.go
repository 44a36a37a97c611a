package containerd

import (
	"context"
	"time"
)

// Event is something that happened to a container.
type Event struct {
	Kind EventKind
	// At is when, by containerd's clock where it told, else by the guard's when it
	// was found out.
	At time.Time
	// Container is what is known of it: for EventCreated and EventStarted as it is
	// now, for others as it was last known. Where it was never seen running, only
	// ID and Namespace may be set.
	Container Container
	Exec      Exec   // for EventExec and EventExecExited
	ExitCode  int    // for EventExited and EventExecExited; -1 where nobody told
	Image     string // for EventImageRemoved, its name; Container.Namespace is set
	// Late is true for what was found by asking, not told by containerd.
	Late bool
	// Problem says, for EventLost and EventUnknown, what is the matter.
	Problem string
}

// EventKind is what happened.
type EventKind string

// The kinds. For one life of a container the order is created, started, exited,
// removed; what comes and goes quickly may lack the first, and what runs when the
// watch begins is told by EventStarted (or EventCreated, EventPaused after it)
// alone. EventExited is told once, for everything of which EventCreated or
// EventStarted was told.
const (
	EventCreated EventKind = "created" // the first process waits; nothing of the image has been executed
	EventStarted EventKind = "started"
	EventExited  EventKind = "exited"  // the first process has ended
	EventRemoved EventKind = "removed" // containerd does not have the container any more
	EventPaused  EventKind = "paused"
	EventResumed EventKind = "resumed"

	EventExec       EventKind = "exec" // the runtime has started another process in it
	EventExecExited EventKind = "exec-exited"

	EventImageRemoved EventKind = "image-removed" // a name of an image; containers made from it run on

	// EventSynced follows everything that runs, after the watch has begun and each
	// time after EventLost.
	EventSynced EventKind = "synced"
	// EventLost means that events are not received until the next EventSynced; what
	// happens meanwhile is told then. It is told once for each time.
	EventLost EventKind = "lost"
	// EventUnknown means that a container could not be asked about; it is asked
	// about again.
	EventUnknown EventKind = "unknown"
)

// Watch tells of what runs now, and then of everything that happens, until ctx
// ends; it then returns nil. tell is called by one goroutine at a time, for each
// container in the order of events; it should return soon, for nothing else is
// told meanwhile, and events that then do not fit are made up for by asking.
//
// To know when it has been subscribed, and that events still flow, Watch publishes
// one event of its own each time, with a topic that nobody else listens to.
func (r *Runtime) Watch(ctx context.Context, tell func(Event)) error {
	w := newWatcher(r, tell)
	pause := firstPause
	for ctx.Err() == nil {
		synced, err := w.subscription(ctx)
		if ctx.Err() != nil {
			break
		}
		if synced {
			pause = firstPause
		}
		w.lose(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, r.c.Retry)
	}
	w.working.Wait()
	return nil
}

const firstPause = 50 * time.Millisecond
