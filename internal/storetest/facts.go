package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

func facts(t *testing.T, s *subject) {
	_, err := s.Fact(t.Context(), "k", "1")
	wants(t, "a fact of a kind that was never written", err, record.ErrNotFound)
	s.commit(t, change(fact("k", "1", "b", "a", "b")))
	f, err := s.Fact(t.Context(), "k", "1")
	wants(t, "reading", err, nil)
	if diff := cmp.Diff(record.Fact{Kind: "k", Key: "1", Value: []byte(`"1"`), Tags: []string{"a", "b"}, Seq: 1}, f); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	s.commit(t, change(record.Fact{Kind: "k", Key: "1", Value: []byte("{}"), Tags: []string{"b", "c"}}))
	f, err = s.Fact(t.Context(), "k", "1")
	wants(t, "reading again", err, nil)
	if diff := cmp.Diff(record.Fact{Kind: "k", Key: "1", Value: []byte("{}"), Tags: []string{"b", "c"}, Seq: 2}, f); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for tag, want := range map[string][]string{"a": nil, "b": {"1"}, "c": {"1"}, "d": nil} {
		if diff := cmp.Diff(want, s.keys(t, record.FactQuery{Kind: "k", Tags: []string{tag}})); diff != "" {
			t.Errorf("tag %s (-want +got)\n%s", tag, diff)
		}
	}
	s.commit(t, change(record.Fact{Kind: "k", Key: "1"}, record.Fact{Kind: "k", Key: "never there"}))
	_, err = s.Fact(t.Context(), "k", "1")
	wants(t, "what was removed", err, record.ErrNotFound)
	if keys := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"b"}}); len(keys) != 0 {
		t.Errorf("%v is found by its tag after it was removed", keys)
	}
	s.commit(t, change(record.Fact{Kind: "k", Key: "empty", Value: []byte{}}))
	if f, err = s.Fact(t.Context(), "k", "empty"); err != nil || len(f.Value) != 0 {
		t.Errorf("an empty value: %+v, %v", f, err)
	}
}

func pages(t *testing.T, s *subject) {
	var want []string
	for i := range 57 {
		key := fmt.Sprintf("key-%02d", i)
		want = append(want, key)
		tags := []string{"all"}
		if i%2 == 0 {
			tags = append(tags, "even")
		}
		s.commit(t, change(fact("k", key, tags...), fact("other", key, tags...)))
	}
	var even []string
	for i := 0; i < len(want); i += 2 {
		even = append(even, want[i])
	}
	for _, test := range []struct {
		tags []string
		want []string
	}{{nil, want}, {[]string{"all"}, want}, {[]string{"even", "all"}, even}} {
		for _, descending := range []bool{false, true} {
			expected := test.want
			if descending {
				expected = backwards(expected)
			}
			var got []string
			for q := (record.FactQuery{Kind: "k", Prefix: "key", Tags: test.tags, Limit: 10, Descending: descending}); ; q.After = got[len(got)-1] {
				page := s.keys(t, q)
				got = append(got, page...)
				if len(page) < q.Limit {
					break
				}
			}
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("tags %v, descending %t (-want +got)\n%s", test.tags, descending, diff)
			}
		}
	}
}

func prefixes(t *testing.T, s *subject) {
	all := []string{"a", "a/b", "a/b/c", "a0", "b", "é", "ér", "\U0010ffff", "\U0010ffff\U0010ffff"}
	for _, key := range rand.Perm(len(all)) {
		s.commit(t, change(fact("k", all[key], "t")))
	}
	for prefix, want := range map[string][]string{
		"": all, "a": all[:4], "a/": all[1:3], "a/b/c/d": nil, "é": all[5:7], "\U0010ffff": all[7:], "c": nil,
	} {
		for _, tags := range [][]string{nil, {"t"}} {
			if diff := cmp.Diff(want, s.keys(t, record.FactQuery{Kind: "k", Prefix: prefix, Tags: tags}), asEmpty()); diff != "" {
				t.Errorf("prefix %q, tags %v (-want +got)\n%s", prefix, tags, diff)
			}
			if diff := cmp.Diff(backwards(want), s.keys(t, record.FactQuery{Kind: "k", Prefix: prefix, Tags: tags, Descending: true}), asEmpty()); diff != "" {
				t.Errorf("prefix %q, tags %v, descending (-want +got)\n%s", prefix, tags, diff)
			}
		}
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Prefix: "a", After: "a/b"}); !slices.Equal(got, all[2:4]) {
		t.Errorf("after a key within the prefix: %q", got)
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Prefix: "a/", After: "b"}); len(got) != 0 {
		t.Errorf("after a key beyond the prefix: %q", got)
	}
}

// asEmpty takes no list and an empty one for the same.
func asEmpty() cmp.Option {
	return cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })
}

func tags(t *testing.T, s *subject) {
	s.commit(t, change(fact("k", "1", "red", "round"), fact("k", "2", "red"), fact("k", "3", "round", "red", "big"), fact("other", "4", "red")))
	for _, test := range []struct{ tags, want []string }{
		{[]string{"red"}, []string{"1", "2", "3"}},
		{[]string{"round", "red"}, []string{"1", "3"}},
		{[]string{"red", "red"}, []string{"1", "2", "3"}},
		{[]string{"big", "round", "red"}, []string{"3"}},
		{[]string{"red", "never"}, nil},
		{[]string{"re"}, nil},
	} {
		if diff := cmp.Diff(test.want, s.keys(t, record.FactQuery{Kind: "k", Tags: test.tags})); diff != "" {
			t.Errorf("%v (-want +got)\n%s", test.tags, diff)
		}
	}
}

func manyTags(t *testing.T, s *subject) {
	const most = 1000
	for i := range 20 {
		var all []string
		for n := range most {
			all = append(all, fmt.Sprintf("pkg:deb/debian/lib%d", n+i*50))
		}
		s.commit(t, change(fact("k", fmt.Sprintf("%02d", i), all...)))
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"pkg:deb/debian/lib100"}}); !slices.Equal(got, []string{"00", "01", "02"}) {
		t.Errorf("by a tag of three: %v", got)
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"pkg:deb/debian/lib960", "pkg:deb/debian/lib1930"}}); !slices.Equal(got, []string{"19"}) {
		t.Errorf("by two tags: %v", got)
	}
	s.commit(t, change(fact("k", "00", "alone")))
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"pkg:deb/debian/lib100"}}); !slices.Equal(got, []string{"01", "02"}) {
		t.Errorf("after one lost its tags: %v", got)
	}
}

// commonTag pages through facts most of which have a tag, and some of which have
// one that only the last ones have.
func commonTag(t *testing.T, s *subject) {
	const n = 6000
	var batch []record.Change
	for i := range n {
		tags := []string{"common"}
		if i < 3 || i%1000 == 999 {
			tags = append(tags, "rare")
		}
		batch = append(batch, change(fact("k", fmt.Sprintf("%05d", i), tags...)))
	}
	s.commit(t, batch...)
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"common"}, Limit: 2, Descending: true}); !slices.Equal(got, []string{"05999", "05998"}) {
		t.Errorf("the newest: %v", got)
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"rare", "common"}, Limit: 7, Descending: true, After: "05999"}); !slices.Equal(got, []string{"04999", "03999", "02999", "01999", "00999", "00002", "00001"}) {
		t.Errorf("the newest of both: %v", got)
	}
	if got := s.keys(t, record.FactQuery{Kind: "k", Tags: []string{"common"}}); len(got) != n {
		t.Errorf("%d facts, want %d", len(got), n)
	}
}

func snapshot(t *testing.T, s *subject) {
	for i := range 300 {
		s.commit(t, change(fact("k", fmt.Sprintf("%03d", i), "t")))
	}
	for _, q := range []record.FactQuery{{Kind: "k"}, {Kind: "k", Tags: []string{"t"}}} {
		var got []string
		for f, err := range s.Facts(t.Context(), q) {
			wants(t, "listing", err, nil)
			if len(got) == 0 {
				s.commit(t, change(fact("k", "000x", "t"), fact("k", "999", "t"), record.Fact{Kind: "k", Key: "200"}))
			}
			got = append(got, f.Key)
		}
		if len(got) != 300 || slices.Contains(got, "999") || !slices.Contains(got, "200") {
			t.Errorf("%d facts, want the 300 of the moment when listing began", len(got))
		}
		s.commit(t, change(record.Fact{Kind: "k", Key: "000x"}, record.Fact{Kind: "k", Key: "999"}, fact("k", "200", "t")))
	}
	n := 0
	for _, err := range s.Entries(t.Context(), record.EntryQuery{}) {
		wants(t, "listing", err, nil)
		if n++; n < 10 {
			s.commit(t, change())
		}
	}
	if n != 304 {
		t.Errorf("%d entries, want the 304 of the moment when listing began", n)
	}
}

// nested uses the store in the midst of lists, more of them than there may be
// connections.
func nested(t *testing.T, s *subject) {
	for i := range 12 {
		s.commit(t, change(fact("k", fmt.Sprintf("%02d", i))))
	}
	var down func(depth int)
	down = func(depth int) {
		for f, err := range s.Facts(t.Context(), record.FactQuery{Kind: "k"}) {
			wants(t, "listing", err, nil)
			if _, err := s.Fact(t.Context(), "k", f.Key); err != nil {
				t.Fatal(err)
			}
			if depth > 0 {
				down(depth - 1)
			}
			return
		}
	}
	down(12)
}

func blobs(t *testing.T, s *subject) {
	body, shared := []byte(`{"a":1}`), bytes.Repeat([]byte("shared "), 1000)
	s.commit(t, record.Change{Kind: "a", Body: body, Blobs: [][]byte{shared, shared, body, {}}})
	s.commit(t, record.Change{Kind: "b", Body: shared, Blobs: [][]byte{shared, body}})
	for _, b := range [][]byte{body, shared, {}} {
		got, err := s.Blob(t.Context(), touchstone.DigestOf(b))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d, %v", len(b), len(got), err)
		}
	}
	_, err := s.Blob(t.Context(), touchstone.DigestOf([]byte("never")))
	wants(t, "bytes that were never written", err, record.ErrNotFound)
}

func bigValues(t *testing.T, s *subject) {
	noise := make([]byte, 12<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise)
	plain := bytes.Repeat([]byte("the same again "), 1<<20)
	s.commit(t, record.Change{Kind: "a", Body: noise, Blobs: [][]byte{plain}, Facts: []record.Fact{{Kind: "k", Key: "1", Value: plain}}})
	for _, b := range [][]byte{noise, plain} {
		if got, err := s.Blob(t.Context(), touchstone.DigestOf(b)); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d, %v", len(b), len(got), err)
		}
	}
	if f, err := s.Fact(t.Context(), "k", "1"); err != nil || !bytes.Equal(f.Value, plain) {
		t.Errorf("a value of %d bytes: %d, %v", len(plain), len(f.Value), err)
	}
	if _, err := s.Commit(t.Context(), record.Change{Kind: "a", Body: make([]byte, record.MaxBytes+1)}); err == nil {
		t.Error("more than the greatest body was written")
	}
}
