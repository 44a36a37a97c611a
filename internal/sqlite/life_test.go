package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

func TestNobodyElseReadsTheFiles(t *testing.T) {
	dir := t.TempDir()
	private, _, err := record.NewKey("record.example")
	check(t, err)
	s := open(t, sqlite.Config{Path: filepath.Join(dir, "record.db"), Key: private})
	filled(t, s)
	_, err = s.Checkpoint(t.Context())
	check(t, err)
	_, err = s.Backup(t.Context(), filepath.Join(dir, "backup.db"))
	check(t, err)
	all, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range all {
		info, err := e.Info()
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", e.Name(), info.Mode())
		}
	}
	if len(all) != 6 {
		t.Errorf("%d files, want 6: %v", len(all), all)
	}
}

func TestASecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.db")
	s := open(t, sqlite.Config{Path: path})
	filled(t, s)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path)
	if out, err := child.CombinedOutput(); err == nil || !strings.Contains(string(out), "another process writes it") {
		t.Errorf("a second process: %v, %s", err, out)
	}
	r, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, ReadOnly: true})
	check(t, err)
	defer r.Close()
	_, err = s.Commit(t.Context(), record.Change{Kind: "a", Facts: []record.Fact{{Kind: "new", Key: "1", Value: []byte("1")}}})
	check(t, err)
	if _, err := r.Fact(t.Context(), "new", "1"); err != nil {
		t.Errorf("who only reads does not see what was written: %v", err)
	}
	if _, err := r.Commit(t.Context(), record.Change{Kind: "a"}); !errors.Is(err, record.ErrFull) {
		t.Errorf("who only reads has written: %v", err)
	}
}

func TestForeignDatabasesAreRefused(t *testing.T) {
	dir := t.TempDir()
	newer, other, text := filepath.Join(dir, "newer.db"), filepath.Join(dir, "other.db"), filepath.Join(dir, "text.db")
	check(t, open(t, sqlite.Config{Path: newer}).Close())
	edit(t, newer, "PRAGMA user_version = 99")
	db, err := sql.Open("sqlite", other)
	check(t, err)
	_, err = db.Exec("CREATE TABLE theirs (a)")
	check(t, err)
	check(t, db.Close())
	check(t, os.WriteFile(text, []byte(strings.Repeat("not a database\n", 500)), 0o600))
	for path, want := range map[string]string{newer: "version 99", other: "another program", text: record.ErrCorrupt.Error()} {
		if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
		}
	}
}

func TestBackupWhileOthersCommitAndRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "record.db"), filepath.Join(dir, "backup.db")
	private, public, err := record.NewKey("record.example")
	check(t, err)
	s := open(t, sqlite.Config{Path: path, Key: private})
	bodies := filled(t, s)
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.Commit(t.Context(), record.Change{Kind: "later", About: "later"}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	size, err := s.Backup(t.Context(), backup)
	check(t, err)
	close(stop)
	others.Wait()
	if info, err := os.Stat(backup); err != nil || info.Size() != size || size == 0 {
		t.Errorf("the backup: %v, %v, want %d bytes", info, err, size)
	}
	if _, err := s.Backup(t.Context(), backup); !errors.Is(err, os.ErrExist) {
		t.Errorf("a backup over another: %v", err)
	}
	if _, err := sqlite.Restore(t.Context(), backup, path, public); err == nil {
		t.Error("a database that is open was replaced")
	}
	right := answers(t.Context(), s, bodies)[:64]
	check(t, s.Close())
	lost, err := os.ReadFile(path)
	check(t, err)
	kept, err := sqlite.Restore(t.Context(), backup, path, public)
	check(t, err)
	s = open(t, sqlite.Config{Path: path, Key: private})
	if diff := cmp.Diff(right, answers(t.Context(), s, bodies)[:64]); diff != "" {
		t.Errorf("after restoring (-before +after)\n%s", diff)
	}
	if old, err := os.ReadFile(kept); err != nil || string(old) != string(lost) {
		t.Errorf("the old database is not kept: %v", err)
	}
	_, err = s.Commit(t.Context(), record.Change{Kind: "a"})
	check(t, err)
	notes, err := s.Checkpoints(t.Context())
	check(t, err)
	v, err := record.Verify(t.Context(), s, record.Trust{Checkpoints: notes, Key: public, Bodies: true})
	if err != nil || !v.OK {
		t.Errorf("what was restored: %+v, %v", v, err)
	}
}

func TestRestoreRefusesWhatIsNotWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record.db")
	private, public, err := record.NewKey("record.example")
	check(t, err)
	s := open(t, sqlite.Config{Path: path, Key: private})
	filled(t, s)
	for name, query := range map[string]string{
		"changed": "UPDATE facts SET seq = seq + 1 WHERE id = 3",
		"cut":     "DELETE FROM entries WHERE seq > 50",
		"body":    "UPDATE blobs SET data = x'0000' WHERE id = 4",
		"tags":    "DELETE FROM tagged WHERE fact = 4",
	} {
		backup := filepath.Join(dir, name+".db")
		_, err := s.Backup(t.Context(), backup)
		check(t, err)
		edit(t, backup, query)
	}
	check(t, s.Close())
	before, err := os.ReadFile(path)
	check(t, err)
	for _, name := range []string{"changed", "cut", "body", "tags", "absent"} {
		if _, err := sqlite.Restore(t.Context(), filepath.Join(dir, name+".db"), path, public); err == nil {
			t.Errorf("%s: it was restored", name)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the database was touched")
	}
	if left, _ := filepath.Glob(path + ".*-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestExpireRemovesBodiesAndKeepsTheChain(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, sqlite.Config{Now: func() time.Time { return now }})
	shared := []byte("held by an entry of another kind")
	for day := range 10 {
		now = now.AddDate(0, 0, 1)
		_, err := s.Commit(t.Context(),
			record.Change{Kind: "decision", Body: fmt.Appendf(nil, "decision %d", day), Blobs: [][]byte{fmt.Appendf(nil, "input %d", day), []byte("in each"), shared}},
			record.Change{Kind: "waiver", Body: fmt.Appendf(nil, "waiver %d", day)})
		check(t, err)
	}
	_, err := s.Commit(t.Context(), record.Change{Kind: "waiver", Body: shared})
	check(t, err)
	expire := func(kind string, before time.Time, want int) {
		t.Helper()
		if n, err := s.Expire(t.Context(), kind, before); err != nil || n != want {
			t.Errorf("expired %d (%v), want %d", n, err, want)
		}
	}
	has := func(what string, want bool) {
		t.Helper()
		_, err := s.Blob(t.Context(), touchstone.DigestOf([]byte(what)))
		if want && err != nil || !want && !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%q: %v, want it there: %t", what, err, want)
		}
	}
	expire("decision", time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC), 4)
	expire("decision", time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC), 0)
	expire("never written", now, 0)
	has("decision 3", false)
	has("input 3", false)
	has("decision 4", true)
	has("in each", true)
	has("waiver 3", true)
	v, err := record.Verify(t.Context(), s, record.Trust{Bodies: true})
	if err != nil || !v.OK || v.Entries != 21 || v.Removed != 4 || v.Bodies != 17 {
		t.Errorf("%+v, %v", v, err)
	}
	expire("decision", now.AddDate(1, 0, 0), 6)
	has("in each", false)
	has(string(shared), true)
	check(t, s.Check(t.Context()))
}

func TestClosed(t *testing.T) {
	s := open(t, sqlite.Config{})
	check(t, s.Health(t.Context()))
	check(t, s.Close())
	check(t, s.Close())
	if _, err := s.Commit(t.Context(), record.Change{Kind: "a"}); err == nil {
		t.Error("a closed store was written")
	}
}
