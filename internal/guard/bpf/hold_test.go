package bpf

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// heard collects events, as the one consumer.
type heard struct {
	t  testing.TB
	mu sync.Mutex
	by map[uint64][]Event
}

func listen(t testing.TB, l *Layer) *heard {
	h := &heard{t: t, by: make(map[uint64][]Event)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range l.Events(ctx) {
			if err != nil {
				t.Error(err)
				continue
			}
			h.mu.Lock()
			h.by[e.Subject] = append(h.by[e.Subject], e)
			h.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return h
}

func (h *heard) of(subject uint64) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Event(nil), h.by[subject]...)
}

func (h *heard) forget(subject uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by, subject)
}

// wait returns the first event of the subject that fits.
func (h *heard) wait(subject uint64, fits func(Event) bool) Event {
	h.t.Helper()
	var found Event
	if err := poll(func() bool {
		for _, e := range h.of(subject) {
			if fits(e) {
				found = e
				return true
			}
		}
		return false
	}); err != nil {
		h.t.Fatalf("the event did not come, but %+v", h.of(subject))
	}
	return found
}

func is(v Verdict) func(Event) bool { return func(e Event) bool { return e.Verdict == v } }

// state returns the letter of the process' state, as ps does; "" if it is gone.
func state(pid int) string {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	return strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))[0]
}

var careful = Mode{Unverified: Hold, Nameless: Kill, Mapping: Hold, Implied: Hold, Unjudged: Report}

// keepBeating beats as an agent does.
func keepBeating(t testing.TB, l *Layer) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; {
			if err := l.Beat(); err != nil {
				t.Error(err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestHeldUntilJudged(t *testing.T) {
	l := openLayer(t, nil)
	keepBeating(t, l)
	h := listen(t, l)
	for _, tt := range []struct {
		name   string
		args   []string
		judge  syscall.Signal
		code   int
		signal syscall.Signal
	}{
		{"program let run", []string{"/tmp/x"}, unix.SIGCONT, 42, 0},
		{"program killed", []string{"/tmp/x"}, unix.SIGKILL, -1, unix.SIGKILL},
		{"mapping let live", []string{"/actor", actorFlag, "map", "/tmp/x"}, unix.SIGCONT, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := watched(t, l, careful)
			c.put("/tmp/x")
			result := make(chan outcome, 1)
			go func() { result <- c.run(tt.args...) }()
			e := h.wait(c.id, is(Held))
			if e.Path != "tmp/x" || e.Why != Unverified || e.File != c.stamp("/tmp/x") {
				t.Errorf("held for %+v", e)
			}
			if err := poll(func() bool { return state(e.Process.PID) == "T" }); err != nil {
				t.Error("it is not stopped: ", state(e.Process.PID))
			}
			f, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var devices Devices
			if stamp, err := devices.StampOf(c.pid, f); err != nil || stamp != e.File {
				t.Errorf("what is mapped has the stamp %+v, %v; told was %+v", stamp, err, e.File)
			}
			if content, err := io.ReadAll(f); err != nil || !bytes.Equal(content, program(42)) {
				t.Errorf("what is mapped is not the program: %v", err)
			}
			if err := unix.Kill(e.Process.PID, tt.judge); err != nil {
				t.Fatal(err)
			}
			if got := <-result; got.Code != tt.code || got.Signal != tt.signal {
				t.Errorf("it ended with %+v", got)
			}
		})
	}
}

// Nobody but the guard lets a held process go on.
func TestHeldAgainstItsFriends(t *testing.T) {
	l := openLayer(t, nil)
	keepBeating(t, l)
	h := listen(t, l)
	for _, friend := range []string{"continue", "trace"} {
		t.Run(friend, func(t *testing.T) {
			c := watched(t, l, careful)
			c.put("/tmp/x")
			if got := c.act(friend, "/tmp/x"); got.Signal != unix.SIGKILL {
				t.Errorf("it ended with %+v", got)
			}
			if e := h.wait(c.id, func(e Event) bool { return e.Why == Continued }); e.Verdict != Killed {
				t.Errorf("told of it: %+v", e)
			}
		})
	}
}

func TestNobodyBeats(t *testing.T) {
	l := openLayer(t, func(c *Config) { c.Stale = time.Millisecond })
	h := listen(t, l)
	for _, tt := range []struct {
		name    string
		closed  bool
		verdict Verdict
	}{{"open", false, LetRun}, {"closed", true, Killed}} {
		t.Run(tt.name, func(t *testing.T) {
			mode := careful
			mode.Closed = tt.closed
			c := watched(t, l, mode)
			c.put("/tmp/x")
			got := c.run("/tmp/x")
			if ran := got.Code == 42; ran == tt.closed {
				t.Errorf("it ended with %+v", got)
			}
			h.wait(c.id, is(tt.verdict))
		})
	}
}

// The first process of a PID namespace ignores signals from inside, not this one.
func TestFirstProcessOfAContainer(t *testing.T) {
	l := openLayer(t, nil)
	c := watched(t, l, strict)
	c.put("/tmp/x")
	const pid = "536870912"
	if got := c.act("unshare", pid, "/actor", actorFlag, "become", "/tmp/x"); got.Signal != unix.SIGKILL {
		t.Errorf("it ended with %+v", got)
	}
}

// What is held when the guard dies does not wait for ever.
func TestAbandoned(t *testing.T) {
	l := openLayer(t, func(c *Config) { c.Stale = time.Second })
	h := listen(t, l)
	for _, closed := range []bool{false, true} {
		t.Run("closed="+strconv.FormatBool(closed), func(t *testing.T) {
			mode := careful
			mode.Closed = closed
			c := watched(t, l, mode)
			c.put("/tmp/x")
			if err := l.Beat(); err != nil {
				t.Fatal(err)
			}
			result := make(chan outcome, 1)
			go func() { result <- c.run("/tmp/x") }()
			e := h.wait(c.id, is(Held))
			if held, err := l.Held(); err != nil || held[e.Process.PID] != c.id {
				t.Errorf("held is %v, %v", held, err)
			}
			var got outcome
			if err := poll(func() bool {
				if err := exec.Command("/bin/true").Run(); err != nil { // that it ends sets the kernel going
					t.Error(err)
				}
				select {
				case got = <-result:
					return true
				default:
					return false
				}
			}); err != nil {
				t.Fatal(err)
			}
			want, code := LetRun, 42
			if closed {
				want, code = Killed, -1
			}
			if got.Code != code {
				t.Errorf("it ended with %+v", got)
			}
			if e := h.wait(c.id, is(want)); e.Process.Comm != "x" {
				t.Errorf("told of it: %+v", e)
			}
			if held, err := l.Held(); err != nil || len(held) > 0 {
				t.Errorf("held is still %v, %v", held, err)
			}
		})
	}
}
