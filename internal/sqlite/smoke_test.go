package sqlite_test

import (
	"testing"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/storetest"
)

func TestSmoke(t *testing.T) {
	s := storetest.Open(t)
	f, _ := record.Put("seen", "a", map[string]int{"x": 1}, "t1", "t2")
	es, err := s.Commit(t.Context(), record.Change{Kind: "scan", Actor: "me", About: "x", Body: []byte("{}"), Facts: []record.Fact{f}, Blobs: [][]byte{[]byte("hello")}})
	t.Log(es, err)
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range record.List[map[string]int](t.Context(), s, record.FactQuery{Kind: "seen", Tags: []string{"t1"}, Limit: 3}) {
		t.Log(d, err)
	}
	for d, err := range s.Entries(t.Context(), record.EntryQuery{About: "x"}) {
		t.Log(d, err)
	}
	b, err := s.Blob(t.Context(), record.DigestOf([]byte("hello")))
	t.Log(string(b), err)
	v, err := record.Verify(t.Context(), s, record.Trust{Bodies: true})
	t.Log(v, err)
}
