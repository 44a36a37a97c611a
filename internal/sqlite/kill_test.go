package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
)

// childEnv names the database that this binary, started again, writes until it
// is killed.
const childEnv = "TOUCHSTONE_TEST_KILL_DATABASE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, commitForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// commitForever commits from several goroutines and prints the key of each fact
// once it is acknowledged.
func commitForever(path string) error {
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Key: os.Getenv(childEnv + "_KEY"), Every: 50})
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex
	for range 6 {
		go func() {
			for {
				id := record.NewID(time.Now())
				entries, err := s.Commit(context.Background(), record.Change{
					Kind: "test", Body: []byte("body of " + id), Blobs: [][]byte{[]byte("blob of " + id), []byte("of all")},
					Facts: []record.Fact{{Kind: "k", Key: id, Value: []byte(id), Tags: []string{"all", "of " + id[20:]}}},
				}, record.Change{Kind: "second", Facts: []record.Fact{{Kind: "second", Key: id, Value: []byte("1")}}})
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println(id, entries[0].Seq)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// TestKilledAtAnyMoment kills a process that commits, again and again: 20 times,
// or TOUCHSTONE_KILLS.
func TestKilledAtAnyMoment(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_KILLS")); err == nil {
		kills = n
	}
	private, public, err := record.NewKey("record.example")
	check(t, err)
	path := filepath.Join(t.TempDir(), "record.db")
	acknowledged := map[string]uint64{}
	for range kills {
		commitAndKill(t, path, private, acknowledged)
		s := reopenAndLook(t, path, acknowledged)
		notes, err := s.Checkpoints(t.Context())
		check(t, err)
		v, err := record.Verify(t.Context(), s, record.Trust{Checkpoints: notes, Key: public, Bodies: true})
		check(t, err)
		if !v.OK {
			t.Fatalf("after a kill the log is not whole: %v", v.Faults)
		}
		check(t, s.Check(t.Context()))
		check(t, s.Close())
	}
	if len(acknowledged) == 0 {
		t.Fatal("nothing was ever acknowledged")
	}
	t.Logf("%d kills, %d commits acknowledged, none lost", kills, len(acknowledged))
}

// commitAndKill lets a child commit for a moment and notes what it says is done.
func commitAndKill(t *testing.T, path, key string, acknowledged map[string]uint64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path, childEnv+"_KEY="+key)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	lines := bufio.NewScanner(out)
	enough := rand.IntN(120)
	for n := 0; lines.Scan(); n++ {
		var id string
		var seq uint64
		if _, err := fmt.Sscan(lines.Text(), &id, &seq); err == nil {
			acknowledged[id] = seq
		}
		if n == enough {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // into the midst of something
			check(t, child.Process.Kill())
		}
	}
	_ = child.Wait() // it was killed
}

// reopenAndLook finds all that was acknowledged, whole.
func reopenAndLook(t *testing.T, path string, acknowledged map[string]uint64) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	check(t, err)
	for id, seq := range acknowledged {
		f, err := s.Fact(t.Context(), "k", id)
		if err != nil || f.Seq != seq || string(f.Value) != id {
			t.Fatalf("acknowledged and lost: %s of entry %d: %+v, %v", id, seq, f, err)
		}
		for _, b := range []string{"body of " + id, "blob of " + id} {
			if _, err := s.Blob(t.Context(), touchstone.DigestOf([]byte(b))); err != nil {
				t.Fatalf("acknowledged and lost: the %s: %v", b, err)
			}
		}
	}
	firsts, seconds := 0, 0
	for _, err := range s.Facts(t.Context(), record.FactQuery{Kind: "k", Tags: []string{"all"}}) {
		check(t, err)
		firsts++
	}
	for _, err := range s.Facts(t.Context(), record.FactQuery{Kind: "second"}) {
		check(t, err)
		seconds++
	}
	if firsts != seconds {
		t.Fatalf("%d first halves of commits and %d second ones: something half-done is believed", firsts, seconds)
	}
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
