// Package storetest holds any record.Store to what its interface promises: the
// order of the log and its chain, conditions, tags, pages, snapshots, what many
// callers do at once, and what is still there after a restart. An implementation
// calls Run from a test of its own.
//
// Open gives other rooms' tests a real store to work on.
package storetest

import (
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// Store is a record.Store that can be closed and opened again.
type Store interface {
	record.Store
	Close() error
}

// Opener opens the store that lies at a path of the test's own: an empty one
// where nothing was opened there before, else what was there. Now is its clock.
type Opener func(t testing.TB, path string, now func() time.Time) Store

// Run runs the whole suite. Every part begins with an empty store.
func Run(t *testing.T, open Opener) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, *subject)
	}{
		{"log: order, chain and bodies", logs},
		{"log: the clock goes back", clockGoesBack},
		{"log: queries", entryQueries},
		{"log: ids", ids},
		{"commit: all or nothing", allOrNothing},
		{"commit: conditions", conditions},
		{"commit: conditions within one commit", conditionsWithin},
		{"commit: many at once", manyAtOnce},
		{"commit: a context that has ended", endedContext},
		{"commit: text that no store keeps", hostileText},
		{"commit: strange text that every store keeps", strangeText},
		{"facts: written, replaced, removed", facts},
		{"facts: pages in both directions", pages},
		{"facts: prefixes", prefixes},
		{"facts: tags", tags},
		{"facts: a thousand tags", manyTags},
		{"facts: a common tag among many", commonTag},
		{"facts: as of one moment", snapshot},
		{"facts: a store is used while it is listed", nested},
		{"blobs", blobs},
		{"big values", bigValues},
		{"reopened", reopened},
		{"verified", verified},
		{"any sequence agrees with a model", model},
	} {
		t.Run(part.name, func(t *testing.T) {
			s := &subject{opener: open, path: filepath.Join(t.TempDir(), "record"), now: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)}
			s.open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			})
			part.run(t, s)
		})
	}
}

// subject is the store under test, with a clock that the test sets.
type subject struct {
	Store
	opener Opener
	path   string
	now    time.Time
}

func (s *subject) open(t testing.TB) {
	t.Helper()
	s.Store = s.opener(t, s.path, func() time.Time { return s.now })
}

func (s *subject) reopen(t testing.TB) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	s.open(t)
}

// commit commits, or ends the test.
func (s *subject) commit(t testing.TB, changes ...record.Change) []record.Entry {
	t.Helper()
	entries, err := s.Commit(t.Context(), changes...)
	if err != nil {
		t.Fatalf("committing: %v", err)
	}
	return entries
}

// wants ends the test unless the error is the one expected.
func wants(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// gather reads a list to its end.
func gather[T any](t testing.TB, list iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range list {
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		all = append(all, v)
	}
	return all
}

// keys lists the keys of facts.
func (s *subject) keys(t testing.TB, q record.FactQuery) []string {
	t.Helper()
	var all []string
	for _, f := range gather(t, s.Facts(t.Context(), q)) {
		all = append(all, f.Key)
	}
	return all
}

// numbers lists the numbers of entries.
func (s *subject) numbers(t testing.TB, q record.EntryQuery) []uint64 {
	t.Helper()
	var all []uint64
	for _, e := range gather(t, s.Entries(t.Context(), q)) {
		all = append(all, e.Seq)
	}
	return all
}

// fact is one with a value that names it.
func fact(kind, key string, tags ...string) record.Fact {
	return record.Fact{Kind: kind, Key: key, Value: []byte(`"` + key + `"`), Tags: tags}
}

// change is one that writes facts.
func change(facts ...record.Fact) record.Change {
	return record.Change{Kind: "test", Actor: "ann", Facts: facts}
}

func backwards[T any](s []T) []T {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}
