// Package release is what people do: promotions along the chain of environments,
// approvals, waivers, freezes, and the rules themselves, which change only when a
// second person has agreed.
//
//	person ─ ask ─► Request (open) ─ approve ─► granted ─► Promotion · Waiver · rules in force · improvement
//	                                └ reject ─► rejected       (or lapsed, when nobody answered)
//
// Everything is written to the record with who did it; what is in force at a
// moment is read from there, and handed to the gate as a Book. The package decides
// nothing: whether a promotion may be is asked of the gate, whose rules soak,
// approvals, promoted and frozen answer it.
//
// The facts that it keeps, by kind and key:
//
//	request    id                            Request, with its state and approvals
//	asked      what is asked for             the id of the request that is open for it
//	promotion  id                            touchstone.Promotion
//	promoted   environment/repository@digest the id of the promotion
//	waiver     id of its request             touchstone.Waiver in force, with who said so
//	freeze     id                            touchstone.Freeze
//	rules      id                            Version
//
// The entries that it writes are of the kinds request, approval, rejection, lapse,
// promotion, waiver, revocation, announcement, freeze, thaw and rules; the actor is
// the person.
package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// What a caller decides on, beside record.ErrNotFound, record.ErrFull and
// record.ErrConflict.
var (
	// ErrForbidden: it is not this person's to do: one's own approval, or that of
	// somebody outside the group.
	ErrForbidden = errors.New("not for this person to do")
	// ErrState: it is granted, rejected or lapsed already.
	ErrState = errors.New("no longer open")
	// ErrInvalid: what is asked for cannot be.
	ErrInvalid = errors.New("cannot be asked for")
)

// Person is who does something, as a token or a cluster says it.
type Person struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"`
}

// Door is what release asks of the gate.
type Door interface {
	Ask(context.Context, gate.Request) (*gate.Answer, error)
}

// Config is what a Release needs. Store and Now are required.
type Config struct {
	Store record.Store
	// Rules is the file that the server begins with. It is taken in at the first
	// start; from then on rules change by a request alone, and another file here is
	// ignored (see Ignored).
	Rules []byte
	// Life is how long a request stays open, and how long a granted improvement
	// may be used; 7 days when zero.
	Life time.Duration
	// Ahead is how long before its end a waiver is announced to lapse; 7 days when
	// zero.
	Ahead time.Duration
	Now   func() time.Time
}

// Release keeps what people have said. It implements gate.Road, and may be used
// from many goroutines. Several may share a store: what another writes is seen
// after Refresh.
type Release struct {
	c          Config
	door       Door
	generation atomic.Uint64
	editions   atomic.Uint64 // of the book: the writes that change it
	shelf      atomic.Pointer[shelf]
	reading    sync.Mutex // held while the shelf is filled
	promotions promotions
}

const week = 7 * 24 * time.Hour

// attempts is how often a write is tried that others keep overtaking.
const attempts = 32

// New returns a Release, and takes the rules in where the store holds none.
// Through must be called before Promote. The error is that of rules which do not
// load, or of the store.
func New(c Config) (*Release, error) {
	if c.Life == 0 {
		c.Life = week
	}
	if c.Ahead == 0 {
		c.Ahead = week
	}
	r := &Release{c: c}
	if err := r.begin(context.Background()); err != nil {
		return nil, err
	}
	return r, nil
}

// Through names the door that judges promotions. The door needs the Release as
// its Road, so neither can be made with the other.
func (r *Release) Through(d Door) { r.door = d }

var _ gate.Road = (*Release)(nil)

// write commits the changes, and lets nobody read on from before them.
func (r *Release) write(ctx context.Context, changes ...record.Change) error {
	_, err := r.c.Store.Commit(ctx, changes...)
	if slices.ContainsFunc(changes, inTheBook) {
		r.editions.Add(1)
	}
	r.generation.Add(1)
	return err
}

// inTheBook reports whether the change writes what a Book is made of.
func inTheBook(c record.Change) bool {
	return slices.ContainsFunc(c.Facts, func(f record.Fact) bool {
		return f.Kind == factRules || f.Kind == factWaiver || f.Kind == factFreeze
	})
}

// again repeats what others have overtaken.
func again[T any](ctx context.Context, what string, try func() (T, error)) (T, error) {
	for range attempts {
		got, err := try()
		if !errors.Is(err, record.ErrConflict) || ctx.Err() != nil {
			return got, err
		}
	}
	var none T
	return none, fmt.Errorf("%s: %w\nhint: many are writing to it at once; try again", what, record.ErrConflict)
}

// change is one entry with its body.
func change(kind string, p Person, about string, body any, facts ...record.Fact) (record.Change, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return record.Change{}, fmt.Errorf("writing down a %s about %q: %w", kind, about, err)
	}
	return record.Change{Kind: kind, Actor: p.Name, About: about, Body: data, Facts: facts}, nil
}

// put is a fact that is written only as the condition says.
func put(kind, key string, v any, when record.Condition, tags ...string) (record.Fact, error) {
	f, err := record.Put(kind, key, v, tags...)
	f.If = when
	return f, err
}

// fault is an error for people, which is one of those that callers decide on.
type fault struct {
	is   error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.is }

// faulty returns the error; hint may be empty.
func faulty(is error, message, hint string) error {
	if hint != "" {
		message += "\nhint: " + hint
	}
	return &fault{is, message}
}

func (p Person) check() error {
	if strings.TrimSpace(p.Name) == "" {
		return faulty(ErrForbidden, "nobody is named as the one who does this", "a token or a cluster says who it is")
	}
	return nil
}

// is reports whether the name is the person's. Capitals and spaces make nobody a
// second person.
func (p Person) is(name string) bool {
	return strings.EqualFold(strings.TrimSpace(p.Name), strings.TrimSpace(name))
}

// in reports whether the person answers for the group; everybody does for none.
func (p Person) in(group string) bool { return group == "" || slices.Contains(p.Groups, group) }

// page cuts a list that was read one item too far, and says where the next page
// goes on.
func page[T any](items []T, limit int, key func(T) string) ([]T, string) {
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], key(items[limit-1])
}

// Pages hold 100 items where nobody asks for another number, and never more than
// 1,000.
func pageSize(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, 1000)
}
