package advisory

import (
	"context"
	"strings"
	"sync"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
)

// Batch asks one index about many artifacts. Most of them share most of their
// packages, so that what was looked up for one is kept for the next. Many may
// ask at once; each asks with one processor.
type Batch struct {
	ix    *Index
	mu    sync.RWMutex
	found map[asked]*found
	held  int                         // about the bytes behind found
	holes map[uint32]touchstone.Match // what belongs to the hole alone
}

// batchBytes bounds what a Batch keeps; when it is reached it begins anew.
const batchBytes = 64 << 20

// Batch returns a Batch over the index, which must stay open while it is used.
func (ix *Index) Batch() *Batch {
	return &Batch{ix: ix, found: map[asked]*found{}, holes: map[uint32]touchstone.Match{}}
}

// Match is Index.Match.
func (b *Batch) Match(ctx context.Context, packages []touchstone.Package, opt MatchOptions) (touchstone.Knowledge, error) {
	return b.ix.match(ctx, b, packages, opt)
}

// look returns what the index says, from what is kept where it is. What it
// returns may be read by many and is not changed any more.
func (b *Batch) look(a asked, tiers func(asked) []int8) (*found, error) {
	b.mu.RLock()
	f, ok := b.found[a]
	b.mu.RUnlock()
	if ok {
		return f, nil
	}
	f, err := b.ix.look(a, tiers(a))
	if err != nil {
		return nil, err
	}
	// The names are parts of larger texts, which must not stay for their sake.
	a = asked{strings.Clone(a.ecosystem), strings.Clone(a.name), strings.Clone(a.version)}
	cost := 200 + len(a.ecosystem) + len(a.name) + len(a.version)
	if f != nil {
		f.text = a.version
		for i := range f.hits {
			f.fixes(&f.hits[i])
		}
		if len(f.hits) == 0 {
			f.pkg = &index.Package{Name: f.pkg.Name} // by far the most; nothing more is asked of them
		}
		cost += 200*len(f.pkg.Statements) + 40*len(f.pkg.Versions)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held += cost; b.held > batchBytes {
		clear(b.found)
		clear(b.holes)
		b.held = cost
	}
	b.found[a] = f
	return f, nil
}

// hole returns the match that a hole makes, its lists shared by all.
func (b *Batch) hole(n uint32) (touchstone.Match, error) {
	b.mu.RLock()
	m, ok := b.holes[n]
	b.mu.RUnlock()
	if ok {
		return m, nil
	}
	h, err := b.ix.reader.Hole(n)
	if err != nil {
		return touchstone.Match{}, err
	}
	m = matchOf(h)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held += 700 + len(h.Summary)
	b.holes[n] = m
	return m, nil
}
