package containerd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	events "github.com/containerd/containerd/api/events"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// The topics of containerd that are listened to, and the watch's own.
const (
	topicCreate      = "/tasks/create"
	topicStart       = "/tasks/start"
	topicExit        = "/tasks/exit"
	topicDelete      = "/tasks/delete"
	topicPaused      = "/tasks/paused"
	topicResumed     = "/tasks/resumed"
	topicExec        = "/tasks/exec-started"
	topicRemoved     = "/containers/delete"
	topicImageDelete = "/images/delete"
	topicMark        = "/touchstone/watch"
)

func filters() []string {
	var out []string
	for _, topic := range []string{topicCreate, topicStart, topicExit, topicDelete, topicPaused, topicResumed, topicExec, topicRemoved, topicImageDelete, topicMark} {
		out = append(out, "topic=="+strconv.Quote(topic))
	}
	return out
}

// subscription listens until that ends, and says whether everything was told.
func (w *watcher) subscription(ctx context.Context) (synced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.r.events.Subscribe(ctx, &eventsapi.SubscribeRequest{Filters: filters()})
	if err != nil {
		return false, explain("subscribing to containerd's events", err)
	}
	inbox := make(chan *types.Envelope, 256)
	broken := make(chan error, 1)
	go func() {
		for {
			e, err := stream.Recv()
			if err != nil {
				broken <- explain("listening to containerd", err)
				return
			}
			select {
			case inbox <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	mark := strconv.FormatInt(w.r.c.Now().UnixNano(), 36)
	marking := time.NewTicker(markEvery)
	defer marking.Stop()
	overdue := time.NewTimer(w.r.c.Idle)
	defer overdue.Stop()
	relist := time.NewTicker(w.r.c.Relist)
	defer relist.Stop()
	looked := make(chan error, 1)
	looking := false
	look := func(deep bool) {
		looking = true
		go func() { looked <- w.look(ctx, deep) }()
	}
	if err := w.mark(ctx, mark); err != nil {
		return false, err
	}
	for {
		select {
		case <-ctx.Done():
			return synced, ctx.Err()
		case err := <-broken:
			return synced, err
		case <-overdue.C:
			return synced, errors.New("containerd does not send the events that it takes")
		case <-marking.C:
			if err := w.mark(ctx, mark); err != nil {
				return false, err
			}
		case err := <-looked:
			if looking = false; err != nil {
				return synced, err
			}
			if !synced {
				synced = true
				w.say(Event{Kind: EventSynced})
			}
		case <-relist.C:
			if synced && !looking {
				look(false)
			}
		case e := <-inbox:
			switch {
			case e.GetTopic() != topicMark:
				if err := w.dispatch(ctx, e); err != nil {
					return synced, err
				}
			case marked(e, mark) && overdue.Stop():
				marking.Stop()
				look(true)
			}
		}
	}
}

// markEvery is how often a mark is published until one has come back.
const markEvery = 50 * time.Millisecond

// mark publishes an event that is to come back: containerd does not say when a
// subscription has begun, and sends nothing of what was before.
func (w *watcher) mark(ctx context.Context, mark string) error {
	ctx, cancel := w.r.in(ctx, "default")
	defer cancel()
	e, err := anypb.New(&events.NamespaceUpdate{Name: "touchstone", Labels: map[string]string{"mark": mark}})
	if err != nil {
		return fmt.Errorf("marking the begin of the watch: %w", err)
	}
	e.TypeUrl = "containerd.events.NamespaceUpdate" // as containerd names its own
	_, err = w.r.events.Publish(ctx, &eventsapi.PublishRequest{Topic: topicMark, Event: e})
	return explain("marking the begin of the watch", err)
}

func marked(e *types.Envelope, mark string) bool {
	var m events.NamespaceUpdate
	return proto.Unmarshal(e.GetEvent().GetValue(), &m) == nil && m.GetLabels()["mark"] == mark
}

// look asks about every container there is: deep where events may have been
// missed, else only about those that are new or have ended untold. It returns
// when all has been told.
func (w *watcher) look(ctx context.Context, deep bool) error {
	listed, err := w.r.names(ctx)
	if err != nil {
		return err
	}
	at := w.r.c.Now()
	var done sync.WaitGroup
	for _, n := range union(listed, w.all()) {
		done.Add(1)
		err := w.post(ctx, n, func(ctx context.Context, l *life) {
			defer done.Done()
			if deep || !l.alive || !w.r.alive(l.c.Init) {
				w.settle(ctx, l, hint{at: at, late: true, deep: deep})
			}
		})
		if err != nil {
			done.Done()
			return err
		}
	}
	done.Wait()
	return ctx.Err()
}

func union(a, b []name) []name {
	seen := make(map[name]bool, len(a))
	var out []name
	for _, n := range slices.Concat(a, b) {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// dispatch has an event looked into.
func (w *watcher) dispatch(ctx context.Context, e *types.Envelope) error {
	if only := w.r.c.Namespaces; len(only) > 0 && !slices.Contains(only, e.GetNamespace()) {
		return nil
	}
	h := hint{at: e.GetTimestamp().AsTime()}
	id, do, err := w.understand(e, h)
	if err != nil {
		w.r.c.Log.Warn("an event of containerd is not understood", "topic", e.GetTopic(), "error", err)
		return nil
	}
	if do == nil || id == "" {
		return nil
	}
	return w.post(ctx, name{e.GetNamespace(), id}, do)
}

// understand returns the container that an event is about, and what to do.
func (w *watcher) understand(e *types.Envelope, h hint) (id string, do job, err error) {
	read := func(into proto.Message) error { return proto.Unmarshal(e.GetEvent().GetValue(), into) }
	settle := func(ctx context.Context, l *life) { w.settle(ctx, l, h) }
	switch e.GetTopic() {
	case topicStart:
		var m events.TaskStart
		err = read(&m)
		return m.GetContainerID(), func(ctx context.Context, l *life) { w.started(ctx, l, h, int(m.GetPid())) }, err
	case topicExit:
		var m events.TaskExit
		err = read(&m)
		return m.GetContainerID(), func(ctx context.Context, l *life) { w.ended(ctx, l, h, &m) }, err
	case topicExec:
		var m events.TaskExecStarted
		err = read(&m)
		return m.GetContainerID(), func(ctx context.Context, l *life) { w.entered(ctx, l, h, m.GetExecID(), int(m.GetPid())) }, err
	case topicCreate:
		var m events.TaskCreate
		err = read(&m)
		return m.GetContainerID(), func(ctx context.Context, l *life) { w.created(ctx, l, h, int(m.GetPid())) }, err
	case topicDelete:
		var m events.TaskDelete
		if err = read(&m); m.GetID() != "" && m.GetID() != m.GetContainerID() {
			return "", nil, err // of an exec
		}
		return m.GetContainerID(), settle, err
	case topicPaused:
		var m events.TaskPaused
		err = read(&m)
		return m.GetContainerID(), settle, err
	case topicResumed:
		var m events.TaskResumed
		err = read(&m)
		return m.GetContainerID(), settle, err
	case topicRemoved:
		var m events.ContainerDelete
		err = read(&m)
		return m.GetID(), settle, err
	case topicImageDelete:
		var m events.ImageDelete
		if err = read(&m); err == nil {
			w.say(Event{Kind: EventImageRemoved, At: h.at, Image: clip(m.GetName(), maxName), Container: Container{Namespace: clip(e.GetNamespace(), maxName)}})
		}
		return "", nil, err
	}
	return "", nil, nil
}
