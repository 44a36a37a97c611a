package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

func allOrNothing(t *testing.T, s *subject) {
	s.commit(t, change(fact("k", "there")))
	fresh := fact("k", "there")
	fresh.If.Absent = true
	_, err := s.Commit(t.Context(),
		record.Change{Kind: "a", Body: []byte("lost"), Facts: []record.Fact{fact("k", "lost", "tag")}, Blobs: [][]byte{[]byte("lost too")}},
		change(fresh))
	wants(t, "a commit of which the second change conflicts", err, record.ErrConflict)
	if n := s.numbers(t, record.EntryQuery{}); len(n) != 1 {
		t.Errorf("entries %v, want the first alone", n)
	}
	if keys := s.keys(t, record.FactQuery{Kind: "k"}); len(keys) != 1 {
		t.Errorf("facts %v, want the first alone", keys)
	}
	if keys := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"tag"}}); len(keys) != 0 {
		t.Errorf("%v is found by its tag", keys)
	}
	for _, b := range []string{"lost", "lost too"} {
		_, err := s.Blob(t.Context(), touchstone.DigestOf([]byte(b)))
		wants(t, "the bytes of a commit that failed", err, record.ErrNotFound)
	}
	if none := s.commit(t); len(none) != 0 {
		t.Errorf("a commit of nothing returned %v", none)
	}
}

func conditions(t *testing.T, s *subject) {
	try := func(what string, f record.Fact, want error) {
		t.Helper()
		_, err := s.Commit(t.Context(), change(f))
		wants(t, what, err, want)
	}
	absent, first, removed := fact("k", "1"), fact("k", "1"), record.Fact{Kind: "k", Key: "1"}
	absent.If.Absent = true
	first.If.Seq = 1
	try("of an entry, and not there", first, record.ErrConflict)
	try("absent", absent, nil) // entry 1
	try("absent, and there", absent, record.ErrConflict)
	try("of the entry", first, nil) // entry 2
	try("of an entry before", first, record.ErrConflict)
	try("the same key of another kind", record.Fact{Kind: "other", Key: "1", Value: []byte("1"), If: record.Condition{Absent: true}}, nil) // entry 3
	removed.If.Seq = 1
	try("removed, of an entry before", removed, record.ErrConflict)
	removed.If.Seq = 2
	try("removed", removed, nil) // entry 4
	_, err := s.Fact(t.Context(), "k", "1")
	wants(t, "what was removed", err, record.ErrNotFound)
	try("absent, once it was removed", absent, nil) // entry 5
	f, err := s.Fact(t.Context(), "k", "1")
	if err != nil || f.Seq != 5 {
		t.Errorf("the fact is of entry %d (%v), want 5", f.Seq, err)
	}
}

func conditionsWithin(t *testing.T, s *subject) {
	absent := fact("k", "1")
	absent.If.Absent = true
	_, err := s.Commit(t.Context(), change(absent), change(absent))
	wants(t, "absent twice", err, record.ErrConflict)
	second := fact("k", "1", "new")
	second.If.Seq = 1
	s.commit(t, change(absent), change(second))
	s.commit(t, change(record.Fact{Kind: "k", Key: "1"}), change(absent))
	f, err := s.Fact(t.Context(), "k", "1")
	if err != nil || f.Seq != 4 || len(f.Tags) != 0 {
		t.Errorf("%+v, %v: want it of entry 4 and without tags", f, err)
	}
	if keys := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"new"}}); len(keys) != 0 {
		t.Errorf("%v is found by a tag that it had before", keys)
	}
}

// manyAtOnce has callers add to one number, each reading it again when another
// was quicker: no addition is lost, and nobody fails for another's conflict.
func manyAtOnce(t *testing.T, s *subject) {
	const callers, each = 8, 20
	s.commit(t, change(record.Fact{Kind: "sum", Key: "1", Value: []byte("0")}))
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				for {
					n, f, err := record.Get[int](t.Context(), s, "sum", "1")
					if err != nil {
						t.Error(err)
						return
					}
					sum := record.Fact{Kind: "sum", Key: "1", Value: fmt.Append(nil, n+1), If: record.Condition{Seq: f.Seq}}
					if _, err = s.Commit(t.Context(), change(sum, fact("own", fmt.Sprint(c, "-", i)))); err == nil {
						break
					}
					if !errors.Is(err, record.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	if n, _, err := record.Get[int](t.Context(), s, "sum", "1"); err != nil || n != callers*each {
		t.Errorf("the sum is %d (%v), want %d", n, err, callers*each)
	}
	if n := len(s.keys(t, record.FactQuery{Kind: "own"})); n != callers*each {
		t.Errorf("%d facts, want %d", n, callers*each)
	}
	if v, err := record.Verify(t.Context(), s, record.Trust{}); err != nil || !v.OK || v.Entries != callers*each+1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func endedContext(t *testing.T, s *subject) {
	s.commit(t, change(fact("k", "1")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, change(fact("k", "2")))
	wants(t, "committing", err, context.Canceled)
	_, err = s.Fact(ctx, "k", "1")
	wants(t, "a fact", err, context.Canceled)
	for _, err = range s.Facts(ctx, record.FactQuery{Kind: "k"}) {
		wants(t, "facts", err, context.Canceled)
	}
	for _, err = range s.Entries(ctx, record.EntryQuery{}) {
		wants(t, "entries", err, context.Canceled)
	}
	if keys := s.keys(t, record.FactQuery{Kind: "k"}); len(keys) != 1 {
		t.Errorf("facts %v", keys)
	}
}

func hostileText(t *testing.T, s *subject) {
	for _, bad := range []string{"a\x00b", "\xff", "a\xc3", "\xed\xa0\x80", strings.Repeat("x", record.MaxText+1)} {
		for what, c := range map[string]record.Change{
			"kind":           {Kind: bad},
			"actor":          {Kind: "a", Actor: bad},
			"about":          {Kind: "a", About: bad},
			"kind of a fact": change(fact(bad, "1")),
			"key":            change(fact("k", bad)),
			"tag":            change(fact("k", "1", "good", bad)),
		} {
			if _, err := s.Commit(t.Context(), c); err == nil {
				t.Errorf("%.10q was written as %s", bad, what)
			}
		}
		if _, err := s.Fact(t.Context(), "k", bad); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("the fact %.10q: %v, want it not to be found", bad, err)
		}
	}
	for what, c := range map[string]record.Change{
		"no kind": {}, "no kind of a fact": change(fact("", "1")), "no key": change(fact("k", "")), "an empty tag": change(fact("k", "1", "")),
	} {
		if _, err := s.Commit(t.Context(), c); err == nil {
			t.Errorf("%s was written", what)
		}
	}
	if n := s.numbers(t, record.EntryQuery{}); len(n) != 0 {
		t.Errorf("entries %v, want none", n)
	}
	if _, err := s.Blob(t.Context(), "sha256:../../etc/passwd"); err == nil {
		t.Error("a blob with a malformed digest was found")
	}
}

func strangeText(t *testing.T, s *subject) {
	strange := []string{"'", `"; DROP TABLE facts; --`, "%_*?[", "a\nb\r\t", "\u202e\ufeff", "é", "e\u0301", "\U0010ffff", "1", "01", "1.0", "A", "a", " ", "\x01"}
	for _, one := range strange {
		f := fact("k"+one, one, one, "t"+one)
		f.Value = []byte(one)
		s.commit(t, record.Change{Kind: "kind " + one, Actor: one, About: one, Facts: []record.Fact{f}})
	}
	for _, one := range strange {
		f, err := s.Fact(t.Context(), "k"+one, one)
		if err != nil || string(f.Value) != one {
			t.Errorf("%q: %+v, %v", one, f, err)
		}
		if diff := cmp.Diff([]string{one}, s.keys(t, record.FactQuery{Kind: "k" + one, Prefix: one, Tags: []string{"t" + one}})); diff != "" {
			t.Errorf("%q by its tag and prefix (-want +got)\n%s", one, diff)
		}
		if n := s.numbers(t, record.EntryQuery{About: one}); len(n) != 1 {
			t.Errorf("about %q: %v", one, n)
		}
	}
}
