package rehydrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// Hook is somebody's own way of replacing something: a command, or an address that is
// called. Either is told an Order, and may be told the same one again.
type Hook struct {
	// Command is run with the Order on its standard input, as JSON. It has replaced
	// what it was told of, or has had that begun, when it ends with code 0.
	Command []string
	// URL is sent the Order by POST where there is no Command; any answer of 2xx is
	// a yes. The header Idempotency-Key is the step.
	URL string
	// Patience is how long a call may take; five minutes when zero.
	Patience time.Duration
	HTTP     *http.Client // http.DefaultClient when nil
}

// SchemaOrder is that of an Order.
const SchemaOrder = "touchstone.dev/rehydration-order/v1"

// Order is what a hook is told.
type Order struct {
	Schema string `json:"schema"`
	Step   string `json:"step"` // the same for the same replacement
	// Node is set for a node that is drained and ready to be taken away.
	Node string `json:"node,omitempty"`
	// Of is what is to be replaced otherwise, and Why says why, for people.
	Of  Identity `json:"of,omitzero"`
	UID string   `json:"uid,omitempty"`
	Why string   `json:"why,omitempty"`
	// Stop is true where it is to end, and nothing is to follow it.
	Stop bool `json:"stop,omitempty"`
}

// Call has the order carried out.
func (h *Hook) Call(ctx context.Context, o Order) error {
	o.Schema = SchemaOrder
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	patience := h.Patience
	if patience <= 0 {
		patience = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case len(h.Command) > 0:
		return h.run(ctx, body)
	case h.URL != "":
		return h.post(ctx, o.Step, body)
	default:
		return errors.New("there is no hook")
	}
}

// mostSaid is how much of what a hook says is told to people.
const mostSaid = 1000

func (h *Hook) run(ctx context.Context, body []byte) error {
	c := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...)
	var said bytes.Buffer
	c.Stdin, c.Stderr, c.Stdout = bytes.NewReader(body), &limited{w: &said}, io.Discard
	c.WaitDelay = 5 * time.Second
	if err := c.Run(); err != nil {
		return fmt.Errorf("the hook %s: %w: %s", h.Command[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// limited keeps the beginning of what is written.
type limited struct{ w *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.w.Write(p[:min(len(p), max(mostSaid-l.w.Len(), 0))])
	return len(p), nil
}

func (h *Hook) post(ctx context.Context, step string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", step)
	client := h.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("calling the hook: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	said, err := io.ReadAll(io.LimitReader(answer.Body, mostSaid))
	if answer.StatusCode/100 != 2 || err != nil {
		return fmt.Errorf("the hook has answered %s: %s", answer.Status, strings.TrimSpace(string(said)))
	}
	return nil
}

// Replace has another node brought in the place of one that is drained.
func (h *Hook) Replace(ctx context.Context, step, node string) error {
	return h.Call(ctx, Order{Step: step, Node: node})
}

// HookHands are hands that have a hook do everything. What was begun is known by its age
// alone: it is done when what runs under the name is younger than the step.
type HookHands struct {
	Hook *Hook
	// Runs tells what runs now.
	Runs Runs
}

var _ Hands = (*HookHands)(nil)

// Look implements Hands.
func (h *HookHands) Look(ctx context.Context, s *Step) (Stage, string, error) {
	f, _, err := h.Runs.Fleet(ctx)
	if err != nil {
		return NotBegun, "", err
	}
	for i := range f.Workloads {
		w := &f.Workloads[i]
		switch {
		case w.Identity != s.Of:
		case s.Undoing != "":
			return Undone, "", nil
		case w.Started.After(s.Planned) && s.Deed == Replace:
			return Ready, "", nil
		case s.Younger(w.Started):
			return Strange, "it was started anew meanwhile", nil
		case s.Begun.IsZero():
			return NotBegun, "", nil
		default:
			return Going, "the old one still runs", nil
		}
	}
	switch {
	case s.Deed == Stop:
		return Ready, "", nil
	case s.Undoing != "":
		return Undone, "", nil
	default:
		return Going, "it does not run at the moment", nil
	}
}

// Begin implements Hands.
func (h *HookHands) Begin(ctx context.Context, s *Step) error {
	if err := h.Hook.Call(ctx, Order{Step: s.ID, Of: s.Of, UID: s.UID, Why: s.Reason, Stop: s.Deed == Stop}); err != nil {
		return err
	}
	s.Begun = s.Planned
	return nil
}

// Go implements Hands.
func (h *HookHands) Go(context.Context, *Step) error { return nil }

// Undo implements Hands: nobody can.
func (h *HookHands) Undo(context.Context, *Step) error { return nil }
