package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"touchstone.dev/touchstone/internal/api"
)

// broker hands what happens to whoever listens. It waits for nobody: a listener
// that does not keep up is dropped, and told so by the end of its stream.
type broker struct {
	mu        sync.Mutex
	closed    bool
	listeners map[chan []byte]bool
}

const (
	mostBehind    = 256 // events that a listener may be behind
	mostListeners = 200
	heartbeat     = 15 * time.Second
)

func newBroker() *broker { return &broker{listeners: map[chan []byte]bool{}} }

// listen returns what happens from now on; nil when there are too many already.
func (b *broker) listen() chan []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.listeners) >= mostListeners {
		return nil
	}
	l := make(chan []byte, mostBehind)
	b.listeners[l] = true
	return l
}

func (b *broker) leave(l chan []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners[l] {
		delete(b.listeners, l)
		close(l)
	}
}

func (b *broker) publish(e api.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.listeners) == 0 {
		return
	}
	data, err := json.Marshal(e)
	if err != nil {
		return // an event of ours is always JSON
	}
	for l := range b.listeners {
		select {
		case l <- data:
		default:
			delete(b.listeners, l)
			close(l)
		}
	}
}

// close ends every stream.
func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for l := range b.listeners {
		delete(b.listeners, l)
		close(l)
	}
}

// events streams what happens (HTML standard, section 9.2, Server-sent events).
func (s *Server) events(w http.ResponseWriter, c *call) error {
	l := s.broker.listen()
	if l == nil {
		return problem(http.StatusServiceUnavailable, "too many are listening, or the server is ending", "try again in a minute")
	}
	defer s.broker.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // nothing more is read, and HTTP/1 would take the deadline for a hang-up
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	send := func(format string, args ...any) error {
		if err := control.SetWriteDeadline(time.Now().Add(heartbeat)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := send(": listening\n\n"); err != nil {
		return err
	}
	for {
		var err error
		select {
		case <-c.Context().Done():
			return nil
		case <-beat.C:
			// A token that was revoked or has expired hears nothing more.
			if again, aerr := s.authenticate(c.Request); aerr != nil || !again.may(api.Viewer) {
				return nil
			}
			err = send(": alive\n\n")
		case data, more := <-l:
			if !more {
				return nil
			}
			err = send("data: %s\n\n", data)
		}
		if err != nil {
			return nil //nolint:nilerr // whoever listened has gone
		}
	}
}
