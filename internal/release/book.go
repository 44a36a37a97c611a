package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// shelf is the book that was last read, and how long it may be handed out.
type shelf struct {
	book    *gate.Book
	version Version
	edition uint64
	from    time.Time // when it was read: a clock set back behind it reads anew
}

// Generation changes with every write of this Release, and with Refresh. What was
// decided at another generation may be decided anew.
func (r *Release) Generation() uint64 { return r.generation.Load() }

// Refresh makes the next Book be read anew. Where several processes share a store
// each calls it every second or so: what the others write is seen after that, and
// no sooner.
func (r *Release) Refresh() {
	r.editions.Add(1)
	r.generation.Add(1)
}

// Book implements gate.Road: the rules in force, the waivers and freezes that
// hold now or are still to begin. It is read when something of that was written,
// and when other rules begin or something in it ends; else it is the same one.
// Nobody may change what it points to. Without a book there is an error, and
// nothing is let in.
func (r *Release) Book(ctx context.Context) (*gate.Book, error) {
	s, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	return s.book, nil
}

func (r *Release) read(ctx context.Context) (*shelf, error) {
	if s := r.shelf.Load(); s != nil && r.fresh(s) {
		return s, nil
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	if s := r.shelf.Load(); s != nil && r.fresh(s) {
		return s, nil
	}
	s, err := r.fill(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what is in force: %w", err)
	}
	r.shelf.Store(s)
	return s, nil
}

func (r *Release) fresh(s *shelf) bool {
	now := r.c.Now()
	return s.edition == r.editions.Load() && !now.Before(s.from) && (s.book.Until.IsZero() || now.Before(s.book.Until))
}

// fill reads everything that is in force. The edition is read first, so that what
// is written meanwhile makes the shelf old.
func (r *Release) fill(ctx context.Context) (*shelf, error) {
	s := &shelf{edition: r.editions.Load(), from: r.c.Now()}
	version, until, err := r.inForce(ctx, s.from)
	if err != nil {
		return nil, err
	}
	parsed, err := r.parsed(version, s.from)
	if err != nil {
		return nil, err
	}
	b := &gate.Book{Rules: parsed, Source: []byte(version.Source), Until: until}
	for doc, err := range record.List[held](ctx, r.c.Store, record.FactQuery{Kind: factWaiver}) {
		if err != nil {
			return nil, err
		}
		if w := doc.Content.Waiver; s.from.Before(w.Until) {
			b.Waivers = append(b.Waivers, w)
			b.Until = first(b.Until, w.Until)
		}
	}
	slices.SortFunc(b.Waivers, sooner)
	if b.WaiversDigest, err = digestOf(b.Waivers); err != nil {
		return nil, err
	}
	for doc, err := range record.List[touchstone.Freeze](ctx, r.c.Store, record.FactQuery{Kind: factFreeze}) {
		if err != nil {
			return nil, err
		}
		if f := doc.Content; f.Until.IsZero() || s.from.Before(f.Until) {
			b.Freezes = append(b.Freezes, f)
			b.Until = first(b.Until, f.Until)
		}
	}
	s.book, s.version = b, version
	return s, nil
}

// first is the earlier of two moments, of which a zero one never comes.
func first(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// sooner orders waivers, the first to lapse first.
func sooner(a, b touchstone.Waiver) int {
	if c := a.Until.Compare(b.Until); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// digestOf names a set of waivers; empty for none.
func digestOf(waivers []touchstone.Waiver) (touchstone.Digest, error) {
	if len(waivers) == 0 {
		return "", nil
	}
	data, err := json.Marshal(waivers)
	if err != nil {
		return "", fmt.Errorf("naming the waivers: %w", err)
	}
	return touchstone.DigestOf(data), nil
}
