package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// filledBefore makes a database of an older version, and fills it by the SQL of
// that time.
func filledBefore(t *testing.T, version int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.db")
	f, err := takeLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := begin(path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, "rw")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := migrate(t.Context(), c, path, version); err != nil {
		t.Fatal(err)
	}
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := c.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	p, err := newPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	do("BEGIN")
	defer do("COMMIT")
	do("INSERT INTO words (id, word) VALUES (1, 'decision')")
	do("INSERT INTO tags (kind, tag, id) VALUES (1, 'prod', 1)")
	do("UPDATE counters SET value = 1 WHERE name = 'tags'")
	var last record.Entry
	for n := uint64(1); n <= 1000; n++ {
		body := fmt.Appendf(nil, `{"decision": %d}`, n)
		e := record.Entry{Seq: n, ID: record.NewID(time.Now()), Time: time.UnixMilli(int64(n)).UTC(), Kind: "decision", About: "thing", Body: touchstone.DigestOf(body), Prev: last.Hash}
		b, err := record.Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		e.Hash, last = record.Sum(&e), e
		last.Hash = e.Hash
		sum, short := rawDigest(t, e.Hash), number(rawDigest(t, e.Body))
		do("INSERT INTO blobs (id, short, data) VALUES (?, ?, ?)", n, short, p.pack(body))
		do("INSERT INTO entries (seq, kind, about, body, hash, record) VALUES (?, 1, ?, ?, ?, ?)", n, aboutNumber("thing"), n, sum, b)
		key, tags, value := fmt.Sprintf("%04d", n), p.pack([]byte("prod")), p.pack(body)
		do("INSERT INTO facts (id, kind, key, seq, sum, tags, value) VALUES (?, 1, ?, ?, ?, ?, ?)", n, key, n, factSum("decision", key, n, tags, value), tags, value)
		do("INSERT INTO tagged VALUES (0, ?, 2)", n)
	}
	return path
}

func rawDigest(t *testing.T, d interface{ Valid() bool }) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(fmt.Sprint(d), "sha256:%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryVersionBeforeIsBroughtUp(t *testing.T) {
	for version := 1; version <= newest(); version++ {
		t.Run(fmt.Sprint("from version ", version), func(t *testing.T) {
			path := filledBefore(t, version)
			if version < newest() {
				if _, err := Open(t.Context(), Config{Path: path, ReadOnly: true}); err == nil {
					t.Error("an older version was opened for reading")
				}
			}
			private, public, err := record.NewKey("record.example")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), Config{Path: path, Key: private})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Commit(t.Context(), record.Change{Kind: "decision", Body: []byte("new"), Facts: []record.Fact{{Kind: "decision", Key: "0500", Value: []byte("{}"), Tags: []string{"test"}}}}); err != nil {
				t.Fatal(err)
			}
			looksRight(t, s, public)
		})
	}
}

func looksRight(t *testing.T, s *Store, public string) {
	t.Helper()
	if _, err := s.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	notes, err := s.Checkpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := record.Verify(t.Context(), s, record.Trust{Checkpoints: notes, Key: public, Bodies: true})
	if err != nil || !v.OK || v.Entries != 1001 || v.Bodies != 1001 || v.Checkpoints != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	prod := 0
	for _, err := range s.Facts(t.Context(), record.FactQuery{Kind: "decision", Tags: []string{"prod"}}) {
		if err != nil {
			t.Fatal(err)
		}
		prod++
	}
	if prod != 999 {
		t.Errorf("%d facts have the tag, want 999", prod)
	}
	if n, err := s.Expire(t.Context(), "decision", time.UnixMilli(11)); err != nil || n != 10 {
		t.Errorf("expired %d, %v", n, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAStepThatFailsChangesNothing stops the last migration in its midst.
func TestAStepThatFailsChangesNothing(t *testing.T) {
	path := filledBefore(t, 1)
	db, err := connect(path, "rw")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := step(t.Context(), c, "CREATE TABLE half (a); DELETE FROM facts; CREATE TABLE words (a)", 2); err == nil {
		t.Fatal("a step that cannot be done was done")
	}
	var facts int
	if err := c.QueryRowContext(t.Context(), "SELECT count(*) FROM facts").Scan(&facts); err != nil || facts != 1000 {
		t.Errorf("%d facts are left, %v", facts, err)
	}
	if v, err := versionOf(t.Context(), c, path); err != nil || v != 1 {
		t.Errorf("it is of version %d, %v", v, err)
	}
}

func TestBeyondAPrefix(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "az": "a{"} {
		if got, ok := beyond(prefix); !ok || string(got) != want {
			t.Errorf("%q: %q", prefix, got)
		}
	}
	if _, ok := beyond("\xff\xff"); ok {
		t.Error("there is something beyond all")
	}
	if !slices.Equal(set([]string{"b", "a", "b"}), []string{"a", "b"}) {
		t.Error("a set holds something twice")
	}
}
