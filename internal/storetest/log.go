package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

func logs(t *testing.T, s *subject) {
	var written []record.Entry
	for i := range 20 {
		s.now = s.now.Add(1500 * time.Microsecond)
		written = append(written, s.commit(t,
			record.Change{Kind: "a", Actor: "ann", About: "one", Body: fmt.Appendf(nil, `{"n":%d}`, i)},
			record.Change{Kind: "b", Actor: "bob"})...)
	}
	read := gather(t, s.Entries(t.Context(), record.EntryQuery{}))
	if diff := cmp.Diff(written, read); diff != "" {
		t.Fatalf("what Commit returned and what was read (-returned +read)\n%s", diff)
	}
	var last record.Entry
	for i, e := range read {
		if e.Seq != uint64(i+1) {
			t.Errorf("entry %d has the number %d", i+1, e.Seq)
		}
		if e.Prev != last.Hash || e.Hash != record.Sum(&e) {
			t.Errorf("entry %d: prev %s, hash %s: the chain is broken", e.Seq, e.Prev, e.Hash)
		}
		if e.Time.Location() != time.UTC || e.Time.Nanosecond()%1e6 != 0 {
			t.Errorf("entry %d: %v is not UTC in whole milliseconds", e.Seq, e.Time)
		}
		if e.ID <= last.ID {
			t.Errorf("entry %d: its id %s does not sort after %s", e.Seq, e.ID, last.ID)
		}
		last = e
	}
	body, err := s.Blob(t.Context(), read[2].Body)
	if err != nil || string(body) != `{"n":1}` {
		t.Errorf("the body of entry 3: %s, %v", body, err)
	}
	if read[1].Body != "" {
		t.Errorf("an entry without a body has the digest %s", read[1].Body)
	}
}

func clockGoesBack(t *testing.T, s *subject) {
	start := s.now
	for _, at := range []time.Duration{0, time.Hour, -time.Hour, 2 * time.Hour, -1000 * time.Hour} {
		s.now = start.Add(at)
		s.commit(t, change())
		s.reopen(t)
	}
	want := []time.Duration{0, time.Hour, time.Hour, 2 * time.Hour, 2 * time.Hour}
	for i, e := range gather(t, s.Entries(t.Context(), record.EntryQuery{})) {
		if got := e.Time.Sub(start); got != want[i] {
			t.Errorf("entry %d is of %v, want %v", e.Seq, got, want[i])
		}
	}
}

func entryQueries(t *testing.T, s *subject) {
	for i := range 30 {
		s.commit(t, record.Change{Kind: string("abc"[i%3]) + "-kind", About: fmt.Sprint("thing ", i%5)})
	}
	for _, test := range []struct {
		name string
		q    record.EntryQuery
		want []uint64
	}{
		{"after", record.EntryQuery{After: 27}, []uint64{28, 29, 30}},
		{"after the end", record.EntryQuery{After: 30}, nil},
		{"after the greatest number", record.EntryQuery{After: 1<<64 - 1}, nil},
		{"limit", record.EntryQuery{Limit: 2}, []uint64{1, 2}},
		{"newest first", record.EntryQuery{Descending: true, Limit: 3}, []uint64{30, 29, 28}},
		{"newest before", record.EntryQuery{Descending: true, After: 4}, []uint64{3, 2, 1}},
		{"a kind", record.EntryQuery{Kinds: []string{"b-kind"}, Limit: 3}, []uint64{2, 5, 8}},
		{"a kind, newest first", record.EntryQuery{Kinds: []string{"b-kind"}, Descending: true, After: 8}, []uint64{5, 2}},
		{"kinds", record.EntryQuery{Kinds: []string{"c-kind", "a-kind", "a-kind"}, Limit: 4}, []uint64{1, 3, 4, 6}},
		{"kinds, newest first", record.EntryQuery{Kinds: []string{"a-kind", "c-kind"}, Descending: true, Limit: 3}, []uint64{30, 28, 27}},
		{"no such kind", record.EntryQuery{Kinds: []string{"z"}}, nil},
		{"some such kind", record.EntryQuery{Kinds: []string{"z", "a-kind"}, After: 20}, []uint64{22, 25, 28}},
		{"about", record.EntryQuery{About: "thing 4"}, []uint64{5, 10, 15, 20, 25, 30}},
		{"about part of it", record.EntryQuery{About: "thing"}, nil},
		{"about, and a kind", record.EntryQuery{About: "thing 4", Kinds: []string{"b-kind"}}, []uint64{5, 20}},
		{"about, a kind, newest first", record.EntryQuery{About: "thing 4", Kinds: []string{"b-kind"}, Descending: true, Limit: 1}, []uint64{20}},
	} {
		if diff := cmp.Diff(test.want, s.numbers(t, test.q)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}

func ids(t *testing.T, s *subject) {
	id := record.NewID(s.now)
	if e := s.commit(t, record.Change{ID: id, Kind: "a"}); e[0].ID != id {
		t.Errorf("the id %s became %s", id, e[0].ID)
	}
	if _, err := s.Commit(t.Context(), record.Change{ID: "17", Kind: "a"}); err == nil {
		t.Error("an id that is no ULID was written")
	}
	if n := len(s.numbers(t, record.EntryQuery{})); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

func verified(t *testing.T, s *subject) {
	var last record.Entry
	for i := range 50 {
		last = s.commit(t, record.Change{Kind: "a", Body: fmt.Appendf(nil, "%d", i)})[0]
	}
	private, public, err := record.NewKey("record.example")
	wants(t, "making a key", err, nil)
	signed, err := record.Sign(private, last.Seq, last.Hash)
	wants(t, "signing", err, nil)
	got, err := record.Verify(t.Context(), s, record.Trust{Checkpoints: []string{signed}, Key: public, Bodies: true})
	wants(t, "verifying", err, nil)
	if diff := cmp.Diff(record.Verification{Entries: 50, Bodies: 50, Checkpoints: 1, OK: true}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func reopened(t *testing.T, s *subject) {
	s.commit(t, record.Change{Kind: "a", Body: []byte("one"), Blobs: [][]byte{[]byte("two")}, Facts: []record.Fact{fact("k", "1", "x"), fact("k", "2", "x")}})
	before := gather(t, s.Facts(t.Context(), record.FactQuery{Kind: "k", Tags: []string{"x"}}))
	s.reopen(t)
	after := gather(t, s.Facts(t.Context(), record.FactQuery{Kind: "k", Tags: []string{"x"}}))
	if diff := cmp.Diff(before, after); diff != "" || len(after) != 2 {
		t.Errorf("facts (-before +after)\n%s", diff)
	}
	for _, b := range []string{"one", "two"} {
		if got, err := s.Blob(t.Context(), touchstone.DigestOf([]byte(b))); err != nil || string(got) != b {
			t.Errorf("blob %q: %q, %v", b, got, err)
		}
	}
	s.commit(t, change(fact("k", "3", "x")))
	if got := s.numbers(t, record.EntryQuery{}); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("entries %v", got)
	}
	if v, err := record.Verify(t.Context(), s, record.Trust{}); err != nil || !v.OK {
		t.Errorf("%v, %v", v, err)
	}
}
