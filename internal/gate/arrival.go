package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// ran says how a digest came into a workload.
type ran struct {
	Decision string    `json:"decision,omitempty"` // id
	At       time.Time `json:"at"`
	Taken    bool      `json:"taken,omitempty"`   // it ran before the gate was there
	Glass    bool      `json:"glass,omitempty"`   // by a person's break-glass: no later start is a restart
	Against  bool      `json:"against,omitempty"` // in report mode, although it was refused: likewise
	Command  string    `json:"command,omitempty"` // names what the workload ran; see Door.command
}

// letIn is what the history of a decision says of it.
func (r *ran) letIn() *touchstone.LetIn {
	if r == nil || r.Glass || r.Against {
		return nil
	}
	return &touchstone.LetIn{Decision: r.Decision, At: r.At, Taken: r.Taken}
}

// workloadKey names a container of a workload.
func workloadKey(cluster, namespace string, w touchstone.Workload) string {
	return strings.Join([]string{cluster, namespace, w.Kind, w.Name, w.Container}, "/")
}

// ranKey names a digest in a workload. What the workload sets of power is part of
// it: an image that was let in is another thing once it is to be privileged, and
// so is one that the runtime kept from being root once it no longer does.
func ranKey(p *touchstone.Place, w touchstone.Workload, s *touchstone.Settings, artifact string) string {
	key := workloadKey(p.Cluster, p.Namespace, w)
	notRoot := s.NotRoot && s.User == "" // with a user it keeps nobody from anything
	if s.User != "" || notRoot || s.Privileged || len(s.Capabilities)+len(s.Host) > 0 {
		powers, _ := json.Marshal([]any{s.User, notRoot, s.Privileged, slices.Sorted(slices.Values(s.Capabilities)), slices.Sorted(slices.Values(s.Host))})
		key += "/" + string(touchstone.DigestOf(powers)) // whole: who writes a workload can try many
	}
	return key + " " + artifact
}

// command names what a workload runs of its own, as a decision sees it: without
// secrets. It is empty where that is left to the image.
func (d *Door) command(s *touchstone.Settings) (string, error) {
	if len(s.Command)+len(s.Args) == 0 {
		return "", nil
	}
	words, err := json.Marshal([][]string{s.Command, s.Args})
	if err != nil {
		return "", fmt.Errorf("reading the command of a workload: %w", err)
	}
	raw := string(touchstone.DigestOf(words))
	if c, ok := d.commands.get(raw); ok {
		return c, nil
	}
	q := redacted(touchstone.Question{Settings: touchstone.Settings{Command: s.Command, Args: s.Args}})
	if words, err = json.Marshal([][]string{q.Command, q.Args}); err != nil {
		return "", fmt.Errorf("reading the command of a workload: %w", err)
	}
	c := string(touchstone.DigestOf(words))
	d.commands.put(raw, c, int64(100+len(raw)+len(c)))
	return c, nil
}

// arrival is how a digest came into a workload that sets what is asked.
type arrival struct {
	ran       *ran   // nil where it never did
	otherwise bool   // it did, and the workload had another command then
	key       string // where it is to be written down when it comes in now
	command   string
}

// letIn is what the history of a decision says of it.
func (r *arrival) letIn() *touchstone.LetIn {
	l := r.ran.letIn()
	if l != nil {
		l.Otherwise = r.otherwise
	}
	return l
}

// arrived looks how a digest came into a workload. There is one fact for the first
// command that it came in with, and one for each other.
func (d *Door) arrived(ctx context.Context, p *touchstone.Place, w touchstone.Workload, s *touchstone.Settings, artifact string) (r arrival, err error) {
	r.key = ranKey(p, w, s, artifact)
	if r.command, err = d.command(s); err != nil {
		return r, err
	}
	if r.ran, err = d.ranBefore(ctx, r.key); err != nil {
		return r, err
	}
	if r.ran.letIn() == nil && s.NotRoot && s.User == "" {
		// What came in as whoever it is may start again as anybody but root.
		weaker := *s
		weaker.NotRoot = false
		if before, err := d.arrived(ctx, p, w, &weaker, artifact); err != nil || before.ran.letIn() != nil {
			return before, err
		}
	}
	if r.ran.letIn() == nil || r.ran.Command == r.command {
		return r, nil
	}
	r.key += "\n" + r.command
	own, err := d.ranBefore(ctx, r.key)
	if err != nil {
		return r, err
	}
	if own.letIn() != nil {
		r.ran = own
	} else {
		r.otherwise = true
	}
	return r, nil
}

// ranBefore returns what a fact says of a digest in a workload, or nil.
func (d *Door) ranBefore(ctx context.Context, key string) (*ran, error) {
	if r, ok := d.ran.get(key); ok {
		return r, nil
	}
	r, _, err := record.Get[ran](ctx, d.c.Store, factRan, key)
	switch {
	case errors.Is(err, record.ErrNotFound):
		d.ran.put(key, nil, int64(150+len(key)))
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking what was let in before: %w", err)
	}
	d.ran.put(key, &r, int64(200+len(key)))
	return &r, nil
}

// entered is what is to be remembered of a digest that comes into a workload; nil
// when that is known already.
func (a *asking) entered(one *decided, admit bool) *ran {
	b := &a.before
	if !admit || a.key == "" || a.r.Question.Workload.Name == "" || a.history.LetIn != nil && !b.otherwise {
		return nil
	}
	now := &ran{Decision: one.ID, At: a.g.now, Glass: a.r.History.Glass != nil, Against: one.Verdict != touchstone.Allowed, Command: b.command}
	switch {
	case b.otherwise && (now.Glass || now.Against): // the first command's entry still holds, and this one makes none
		return nil
	case b.ran != nil && b.ran.Glass == now.Glass && b.ran.Against == now.Against && b.ran.Command == now.Command:
		return nil
	}
	return now
}
