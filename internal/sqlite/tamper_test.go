package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

// edit changes a database behind the store's back, by somebody who keeps the sums
// of its pages right.
func edit(t *testing.T, path string, queries ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?vfs=touchstone")
	check(t, err)
	defer db.Close()
	for _, q := range queries {
		_, err := db.Exec(q)
		check(t, err)
	}
}

// forged is entry n, as somebody would write it who knows how entries are hashed.
func forged(t *testing.T, s *sqlite.Store, n uint64, change func(*record.Entry)) string {
	t.Helper()
	for e, err := range s.Entries(t.Context(), record.EntryQuery{After: n - 1, Limit: 1}) {
		check(t, err)
		change(&e)
		b, err := record.Encode(&e)
		check(t, err)
		return fmt.Sprintf("REPLACE INTO entries (seq, kind, hash, record) VALUES (%d, 1, x'%s', x'%x')", e.Seq, record.Sum(&e)[len("sha256:"):], b)
	}
	t.Fatalf("there is no entry %d", n)
	return ""
}

func TestVerifyFindsWhatSomebodyChanged(t *testing.T) {
	private, public, err := record.NewKey("record.example")
	check(t, err)
	for _, test := range []struct {
		name  string
		edits func(s *sqlite.Store) []string
		want  []string // parts of the faults, in their order
	}{
		{"nothing", func(*sqlite.Store) []string { return nil }, nil},
		{"a byte of an entry", func(*sqlite.Store) []string {
			return []string{"UPDATE entries SET record = CAST(replace(CAST(record AS TEXT), 'ann', 'bob') AS BLOB) WHERE seq = 5"}
		}, []string{"entry 5 was changed"}},
		{"an entry, with its hash", func(s *sqlite.Store) []string {
			return []string{forged(t, s, 5, func(e *record.Entry) { e.Actor = "bob" })}
		}, []string{"entry 6 does not follow entry 5"}},
		{"an entry removed", func(*sqlite.Store) []string { return []string{"DELETE FROM entries WHERE seq = 5"} },
			[]string{"entry 5 is missing", "entry 6 does not follow entry 4"}},
		{"some entries removed", func(*sqlite.Store) []string { return []string{"DELETE FROM entries WHERE seq IN (1, 2, 3)"} },
			[]string{"entries 1 to 3 are missing", "entry 4 does not follow entry 0"}},
		{"two entries swapped", func(*sqlite.Store) []string {
			return []string{"UPDATE entries SET seq = -5 WHERE seq = 5", "UPDATE entries SET seq = 5 WHERE seq = 6", "UPDATE entries SET seq = 6 WHERE seq = -5"}
		}, []string{"entry 5 was changed", "entry 6 was changed"}},
		{"two entries swapped, their numbers and hashes made to fit", func(s *sqlite.Store) []string {
			return []string{
				forged(t, s, 5, func(e *record.Entry) { e.Seq = 6 }),
				forged(t, s, 6, func(e *record.Entry) { e.Seq = 5 }),
			}
		}, []string{"entry 5 does not follow entry 4", "entry 6 does not follow entry 5", "entry 7 does not follow entry 6"}},
		{"the end cut off", func(*sqlite.Store) []string { return []string{"DELETE FROM entries WHERE seq > 17"} },
			[]string{"the log ends with entry 17, and a checkpoint was signed for 20"}},
		{"the end cut off, and the checkpoints in the database", func(*sqlite.Store) []string {
			return []string{"DELETE FROM entries WHERE seq > 17", "DELETE FROM checkpoints"}
		}, []string{"the log ends with entry 17, and a checkpoint was signed for 20"}},
		{"the last entry, with its hash", func(s *sqlite.Store) []string {
			return []string{forged(t, s, 20, func(e *record.Entry) { e.Actor = "bob" })}
		}, []string{"entry 20 is not the one that a checkpoint was signed for"}},
		{"the time of the last entry", func(s *sqlite.Store) []string {
			return []string{forged(t, s, 20, func(e *record.Entry) { e.Time = e.Time.Add(-time.Hour) })}
		}, []string{"entry 20 is older than entry 19", "entry 20 is not the one that a checkpoint was signed for"}},
		{"a body", func(*sqlite.Store) []string {
			return []string{"UPDATE blobs SET data = x'00646966666572656e74' WHERE id = 3"}
		},
			[]string{"the body of entry 3"}},
		{"a checkpoint by another", func(*sqlite.Store) []string {
			other, _, err := record.NewKey("record.example")
			check(t, err)
			signed, err := record.Sign(other, 20, touchstone.DigestOf(nil))
			check(t, err)
			return []string{"INSERT INTO checkpoints VALUES (99, '" + signed + "')"}
		}, []string{"a checkpoint does not count"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "record.db")
			s := open(t, sqlite.Config{Path: path, Key: private, Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }})
			for i := range 20 {
				_, err := s.Commit(t.Context(), record.Change{Kind: "a", Actor: "ann", Body: fmt.Appendf(nil, "body %d", i)})
				check(t, err)
			}
			edits := test.edits(s)
			check(t, s.Close())
			edit(t, path, edits...)
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
			check(t, err)
			defer s.Close()
			notes, err := s.Checkpoints(t.Context())
			check(t, err)
			v, err := record.Verify(t.Context(), s, record.Trust{Checkpoints: notes, Key: public, Bodies: true})
			check(t, err)
			fits := slices.EqualFunc(v.Faults, test.want, strings.Contains)
			if !fits || v.OK != (len(test.want) == 0) {
				t.Errorf("ok %t, faults %q, want %q", v.OK, v.Faults, test.want)
			}
		})
	}
}

func TestCheckFindsFactsThatAreNotFoundByTheirTags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.db")
	s := open(t, sqlite.Config{Path: path})
	filled(t, s)
	check(t, s.Check(t.Context()))
	check(t, s.Close())
	edit(t, path, "DELETE FROM tagged WHERE fact = 7")
	s = open(t, sqlite.Config{Path: path})
	if err := s.Check(t.Context()); err == nil {
		t.Error("a fact that its tags do not find was not noticed")
	}
}

func TestCheckpoints(t *testing.T) {
	private, public, err := record.NewKey("record.example")
	check(t, err)
	if derived, err := record.PublicKey(private); err != nil || derived != public {
		t.Errorf("the public half is %s (%v), want %s", derived, err, public)
	}
	path := filepath.Join(t.TempDir(), "record.db")
	s := open(t, sqlite.Config{Path: path, Key: private})
	if note, err := s.Checkpoint(t.Context()); err != nil || note != "" {
		t.Errorf("of an empty log: %q, %v", note, err)
	}
	for n := range 3 {
		_, err := s.Commit(t.Context(), record.Change{Kind: "a"})
		check(t, err)
		note, err := s.Checkpoint(t.Context())
		check(t, err)
		c, err := record.ReadCheckpoint(note, public)
		if err != nil || c.Size != uint64(n+1) || c.Origin != "record.example" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	check(t, s.Close())
	// a writer that was killed has left half a note behind
	f, err := os.OpenFile(path+".checkpoints", os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString("\n\nrecord.example\n4\nabc")
	check(t, err)
	check(t, f.Close())
	s = open(t, sqlite.Config{Path: path, Key: private})
	_, err = s.Commit(t.Context(), record.Change{Kind: "a"})
	check(t, err)
	check(t, s.Close())
	edit(t, path, "DELETE FROM checkpoints")
	s = open(t, sqlite.Config{Path: path})
	notes, err := s.Checkpoints(t.Context())
	check(t, err)
	var sizes []uint64
	for _, n := range notes {
		c, err := record.ReadCheckpoint(n, public)
		check(t, err)
		sizes = append(sizes, c.Size)
	}
	if !slices.Equal(sizes, []uint64{1, 2, 3, 4}) {
		t.Errorf("the file holds checkpoints of %v", sizes)
	}
}

func TestACheckpointIsSignedEverySoManyEntries(t *testing.T) {
	private, _, err := record.NewKey("record.example")
	check(t, err)
	s := open(t, sqlite.Config{Key: private, Every: 10})
	for range 10 {
		_, err := s.Commit(t.Context(), record.Change{Kind: "a"})
		check(t, err)
	}
	for {
		notes, err := s.Checkpoints(t.Context())
		check(t, err)
		if len(notes) > 0 {
			return
		}
		if err := t.Context().Err(); err != nil {
			t.Fatal("no checkpoint was signed")
		}
	}
}
