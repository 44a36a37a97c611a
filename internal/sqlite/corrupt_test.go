package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

// answers asks everything of a store, and returns each answer, or "" in the place
// of one that was an error.
func answers(ctx context.Context, s *sqlite.Store, blobs [][]byte) []string {
	var all []string
	say := func(err error, format string, args ...any) {
		if err != nil {
			format, args = "", nil
		}
		all = append(all, fmt.Sprintf(format, args...))
	}
	for i := range 60 {
		f, err := s.Fact(ctx, "k", fmt.Sprint("key-", i))
		say(err, "%+v", f)
	}
	for _, q := range []record.FactQuery{{Kind: "k"}, {Kind: "k", Tags: []string{"odd"}}, {Kind: "k", Tags: []string{"many-7", "odd"}, Descending: true}, {Kind: "k", Prefix: "key-3"}} {
		var b bytes.Buffer
		var failed error
		for f, err := range s.Facts(ctx, q) {
			failed = errors.Join(failed, err)
			fmt.Fprintf(&b, "%+v\n", f)
		}
		say(failed, "%s", b.String())
	}
	for _, q := range []record.EntryQuery{{}, {Kinds: []string{"a"}}, {About: "thing 3"}, {Descending: true, Limit: 4}} {
		var b bytes.Buffer
		var failed error
		for e, err := range s.Entries(ctx, q) {
			failed = errors.Join(failed, err)
			fmt.Fprintf(&b, "%+v\n", e)
		}
		say(failed, "%s", b.String())
	}
	for _, blob := range blobs {
		b, err := s.Blob(ctx, touchstone.DigestOf(blob))
		say(err, "%s", b)
	}
	return all
}

// filled writes something of everything, and returns the bytes of its bodies.
func filled(t testing.TB, s *sqlite.Store) [][]byte {
	t.Helper()
	var bodies [][]byte
	for i := range 60 {
		body := fmt.Appendf(nil, "body %d %x", i, noise(400))
		bodies = append(bodies, body)
		tags := []string{[]string{"even", "odd"}[i%2]}
		for n := range 100 {
			tags = append(tags, fmt.Sprint("many-", n+i))
		}
		_, err := s.Commit(t.Context(), record.Change{Kind: string("ab"[i%2]), Actor: "ann", About: fmt.Sprint("thing ", i%7), Body: body,
			Facts: []record.Fact{{Kind: "k", Key: fmt.Sprint("key-", i), Value: fmt.Appendf(nil, `{"n":%d,"x":"%x"}`, i, noise(300)), Tags: tags}}})
		check(t, err)
	}
	return bodies
}

// TestDamageIsAnErrorNeverAnotherAnswer changes a few bytes anywhere in the file,
// many times over: every answer is the right one or an error.
func TestDamageIsAnErrorNeverAnotherAnswer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record.db")
	s := open(t, sqlite.Config{Path: path})
	bodies := filled(t, s)
	right := answers(t.Context(), s, bodies)
	check(t, s.Close())
	whole, err := os.ReadFile(path)
	check(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	refused, failed := 0, 0
	for round := range 150 {
		damaged := bytes.Clone(whole)
		at := random.IntN(len(damaged))
		for i := at; i < min(at+1+random.IntN(8), len(damaged)) && round > 0; i++ { // the first is not damaged
			damaged[i] ^= byte(1 + random.IntN(255))
		}
		path := filepath.Join(dir, fmt.Sprint("damaged-", round, ".db"))
		check(t, os.WriteFile(path, damaged, 0o600))
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
		if err != nil {
			refused++
			continue
		}
		errs := 0
		for i, got := range answers(t.Context(), s, bodies) {
			switch {
			case got == "":
				errs++
			case got != right[i]:
				t.Errorf("byte %d of page %d: another answer to question %d:\n%.200s\nwant\n%.200s", at%4096, at/4096+1, i, got, right[i])
			}
		}
		if errs > 0 {
			failed++
			if round == 0 {
				t.Errorf("%d errors although nothing is damaged", errs)
			}
		}
		_ = s.Close() // it may not be able to
		check(t, os.Remove(path))
	}
	t.Logf("of 150 damaged files %d were refused, %d gave errors", refused, failed)
}
