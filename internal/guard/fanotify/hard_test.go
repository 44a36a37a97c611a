//go:build linux

package fanotify

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAStormOfUnknownPrograms(t *testing.T) {
	b := newBox(t)
	l, c := start(t, nil, b)
	times := 5_000
	if !testing.Short() {
		times = 20_000
	}
	b.must("cp /bin/true /evil; echo >> /evil")
	if out := b.must(fmt.Sprintf("/helper storm %d 8 /evil", times)); out != "ran 0\n" {
		t.Error(out)
	}
	unknown, unjudged := c.asked()
	if len(unknown)+len(unjudged) != times {
		t.Errorf("told of %d and %d, want %d in all", len(unknown), len(unjudged), times)
	}
	if s, err := l.Status(); err != nil || s.Subjects[0].Pending != 0 {
		t.Errorf("still pending: %+v, %v", s.Subjects[0].Pending, err)
	}
}

func TestWhatChangesWhileItIsExecuted(t *testing.T) {
	b := newBox(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the program that tells its content by its status is for amd64")
	}
	for _, target := range []string{"/evil", "/tmp/evil", "/vol/evil"} {
		if out := b.must("/helper flip " + target); strings.Contains(out, "evil 0\n") {
			t.Errorf("%s: unguarded %s", target, out)
		}
	}
	_, _ = start(t, func(cfg *Config, _ *court) { cfg.Bound = 10 * time.Second }, b)
	for _, target := range []string{"/evil", "/tmp/evil", "/vol/evil"} {
		out := b.must("/helper flip " + target)
		t.Log(target, out)
		if !strings.Contains(out, "evil 0\n") || strings.Contains(out, "ran 0") {
			t.Errorf("%s: %s", target, out)
		}
	}
}

func TestWhatIsWrittenThroughAMapping(t *testing.T) {
	b := newBox(t)
	_, c := start(t, nil, b)
	for _, dir := range []string{"", "/tmp", "/vol"} {
		out := b.sh(fmt.Sprintf("cp /helper %[1]s/copy; %[1]s/copy; %[1]s/copy; sleep 0.2; %[1]s/copy; /helper patch %[1]s/copy; %[1]s/copy", dir))
		if n := strings.Count(out.Output, "ran\n"); n != 3 {
			t.Errorf("%s: ran %d times, want 3 before it was changed and none after: %s", dir, n, out.Output)
		}
		if unknown, _ := c.asked(); len(unknown) != 1 {
			t.Errorf("%s: %q was told, want one", dir, kinds(unknown))
		}
	}
}

func TestAFileThatHasAWriter(t *testing.T) {
	b := newBox(t)
	_, c := start(t, nil, b)
	for _, how := range []string{"writer", "mapper"} {
		for _, dir := range []string{"", "/tmp", "/vol"} {
			t.Run(how+dir, func(t *testing.T) {
				c.asked()
				out := b.sh(fmt.Sprintf("cp /helper %[2]s/copy; /helper %[1]s %[2]s/copy 1s & sleep 0.5; %[2]s/copy; wait", how, dir))
				if strings.Contains(out.Output, "ran\n") {
					t.Errorf("it ran, and nobody knows what: %s", out.Output)
				}
				if unknown, _ := c.asked(); len(unknown) == 0 || unknown[0].Unjudged != "it is open for writing" {
					t.Errorf("unknown: %+v", unknown)
				}
				if out := b.must(dir + "/copy"); out != "ran\n" {
					t.Errorf("afterwards: %s", out)
				}
			})
		}
	}
}

func TestAHugeProgramIsAnsweredWithinTheBound(t *testing.T) {
	const size = 1 << 28
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprint("fails closed: ", closed), func(t *testing.T) {
			b := newBox(t)
			b.known[content{size, [32]byte{}}] = true // so that it must be hashed
			l, c := start(t, func(cfg *Config, _ *court) { cfg.Bound = 50 * time.Millisecond }, b)
			b.must("cp /helper /evil")
			soon(t, "the shell itself is remembered", func() bool {
				b.must(":")
				_, unjudged := c.asked()
				return len(unjudged) == 0
			})
			if err := l.Watch(Subject{ID: 1, PID: b.pid, Opens: true, FailClosed: closed}); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(b.dir, "upper", "evil"), size); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			out := b.sh("/evil")
			took := time.Since(begun)
			if took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if ran := out.Output == "ran\n"; ran == closed {
				t.Errorf("%s %s", out.Failed, out.Output)
			}
			var unknown, unjudged []Access // both are told after the answer
			soon(t, "what was answered, and the late verdict", func() bool {
				more, late := c.asked()
				unknown, unjudged = append(unknown, more...), append(unjudged, late...)
				return len(unjudged) > 0 && len(unknown) > 0
			})
			if len(unjudged) != 1 || unjudged[0].Allowed == closed || unjudged[0].Unjudged == "" {
				t.Errorf("unjudged: %+v", unjudged)
			}
			if !unknown[0].Late || !unknown[0].Hashed || unknown[0].Allowed == closed {
				t.Errorf("unknown: %+v", unknown)
			}
		})
	}
}

// What is asked about before it is known what the subject holds is no stranger for
// ever after.
func TestWhatIsKnownLate(t *testing.T) {
	b := newBox(t)
	_, c := start(t, func(_ *Config, c *court) { c.late = true }, b)
	b.must("/bin/tee </dev/null")
	if unknown, _ := c.asked(); !slices.Contains(kinds(unknown), "program /bin/tee") {
		t.Fatalf("asked about %v", kinds(unknown))
	}
	c.mu.Lock()
	c.late = false
	c.mu.Unlock()
	b.must("/bin/tee </dev/null")
	if unknown, _ := c.asked(); len(unknown) > 0 {
		t.Errorf("asked about %v again", kinds(unknown))
	}
}

func TestBigDataIsNotRead(t *testing.T) {
	b := newBox(t)
	_, c := start(t, func(_ *Config, c *court) {
		c.hasSize = func(_ uint64, size int64) {
			if size >= 1<<30 {
				t.Errorf("it was asked about data of %d bytes", size)
			}
		}
	}, b)
	b.must("echo > /data/big; echo > /vol/big")
	for _, f := range []string{"upper/data/big", "vol/big"} {
		if err := os.Truncate(filepath.Join(b.dir, f), 8<<30); err != nil {
			t.Fatal(err)
		}
	}
	b.must("for i in 1 2 3; do read -n 1 x < /data/big; read -n 1 x < /vol/big; perl -e 'open F, \"/vol/big\"; read F, $x, 10'; dd if=/data/big of=/dev/null bs=1 count=1 2>/dev/null; done")
	if unknown, unjudged := c.asked(); len(unknown)+len(unjudged) > 0 {
		t.Errorf("%q %+v", kinds(unknown), unjudged)
	}
}

func TestMountsThatAreMadeLater(t *testing.T) {
	b := newBox(t)
	l, c := start(t, nil, b)
	b.must("mkdir -p /late /over; mount -t tmpfs late /late; cp /helper /late/evil; echo >> /late/evil")
	soon(t, "a mark on the new mount", func() bool { return marks(t, l, 1)["/late"].Exec })
	if out := b.sh("/late/evil"); strings.Contains(out.Output, "ran\n") {
		t.Errorf("it ran from a mount that was made later")
	}
	// The kernel gives the id of a mount that has gone to the next one.
	b.must("until umount /late; do sleep 0.01; done; mount -t tmpfs again /late; cp /helper /late/evil; echo >> /late/evil")
	soon(t, "it is stopped there as well", func() bool { return !strings.Contains(b.sh("/late/evil").Output, "ran\n") })
	b.must("until umount /late; do sleep 0.01; done")
	soon(t, "the mount is forgotten", func() bool { _, there := marks(t, l, 1)["/late"]; return !there })
	if unknown, _ := c.asked(); len(unknown) < 2 {
		t.Errorf("told of %q", kinds(unknown))
	}
}

func marks(tb testing.TB, l *Layer, id uint64) map[string]Mark {
	tb.Helper()
	s, err := l.Status()
	if err != nil {
		tb.Fatal(err)
	}
	out := make(map[string]Mark)
	for _, sub := range s.Subjects {
		if sub.ID == id {
			for _, m := range sub.Marks {
				out[m.Point] = m
			}
		}
	}
	return out
}

func TestStatusTellsWhatTheKernelHas(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, nil, b)
	have := marks(t, l, 1)
	for point, want := range map[string]Mark{
		"/":        {Point: "/", Exec: true, Open: true, Filesystem: true},
		"/tmp":     {Point: "/tmp", Exec: true, Open: true, Filesystem: true},
		"/dev":     {Point: "/dev", Exec: true, Filesystem: true},
		"/dev/shm": {Point: "/dev/shm", Exec: true, Open: true, Filesystem: true},
		"/vol":     {Point: "/vol", Exec: true, Open: true},
		"/proc":    {Point: "/proc", Problem: "no programs lie on proc"},
	} {
		if have[point] != want {
			t.Errorf("%s: %+v, want %+v", point, have[point], want)
		}
	}
	if err := l.Watch(Subject{ID: 1, PID: b.pid}); err != nil {
		t.Fatal(err)
	}
	if m := marks(t, l, 1)["/vol"]; m.Open || !m.Exec {
		t.Errorf("without opens: %+v", m)
	}
	if out := b.sh("echo echo ran > /y.sh; bash /y.sh; cp /helper /evil; echo >> /evil; /evil"); strings.Count(out.Output, "ran\n") != 1 {
		t.Errorf("without opens: %s", out.Output)
	}
	if err := l.Watch(Subject{ID: 1, PID: b.pid, Opens: true}); err != nil {
		t.Fatal(err)
	}
	if out := b.sh("bash /y.sh"); strings.Contains(out.Output, "ran") {
		t.Errorf("with opens again: %s", out.Output)
	}
	l.Unwatch(1)
	s, err := l.Status()
	if err != nil || s.Foreign != 0 || len(s.Subjects) != 0 {
		t.Errorf("after the end: %+v, %v", s, err)
	}
	if out := b.must("/evil; bash /y.sh"); out != "ran\nran\n" {
		t.Errorf("after the end: %s", out)
	}
}

func TestAStormOfMounts(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, nil, b)
	b.must("mkdir /storm; /helper mounts /storm 1000")
	soon(t, "marks on all of them", func() bool {
		n := 0
		for point, m := range marks(t, l, 1) {
			if strings.HasPrefix(point, "/storm/") && m.Exec {
				n++
			}
		}
		return n == 1000
	})
	if out := b.sh("cp /helper /storm/999/evil; echo >> /storm/999/evil; /storm/999/evil"); strings.Contains(out.Output, "ran\n") {
		t.Error("it ran from the last mount of a storm")
	}
}

func TestMoreMountsThanAreLookedAt(t *testing.T) {
	b := newBox(t)
	var told atomic.Int32
	l, _ := start(t, func(cfg *Config, _ *court) {
		cfg.Mounts = 50
		cfg.Trouble = func(_ uint64, s string) { told.Add(1); t.Log(s) }
	}, b)
	b.must("mkdir /storm; /helper mounts /storm 200")
	soon(t, "that is told", func() bool { return told.Load() > 0 })
	if n := len(marks(t, l, 1)); n > 50 {
		t.Errorf("%d mounts are kept", n)
	}
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
}

func TestAFloodDoesNotHoldUpOthers(t *testing.T) {
	a, b := newBox(t), newBox(t)
	_, _ = start(t, nil, a, b)
	b.must("cp /helper /copy; echo 1 > /vol/file")
	a.must("cp /helper /copy; echo 1 > /vol/file")
	measure := func() time.Duration {
		var all []time.Duration
		for range 20 {
			begun := time.Now()
			if out := b.must("/copy"); out != "ran\n" {
				t.Fatal(out)
			}
			all = append(all, time.Since(begun))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	calm := measure()
	var flood sync.WaitGroup
	flood.Add(1)
	go func() {
		defer flood.Done()
		t.Log(a.run(order{Argv: []string{"/helper", "opens", "/vol/file", "5s"}}).Output)
	}()
	time.Sleep(500 * time.Millisecond)
	busy := measure()
	flood.Wait()
	t.Logf("an exec took %v, and %v beside a flood of opens", calm, busy)
	// The flood takes both processors besides, from who executes as well.
	if busy > 20*calm+200*time.Millisecond {
		t.Errorf("an exec took %v, and %v beside a flood of opens", calm, busy)
	}
}

func TestAJudgeThatHangsForOneSubject(t *testing.T) {
	a, b := newBox(t), newBox(t)
	release := make(chan struct{})
	l, c := start(t, func(cfg *Config, c *court) {
		cfg.Bound = 200 * time.Millisecond
		cfg.Workers = 2
		c.hasSize = func(subject uint64, _ int64) {
			if subject == 1 {
				<-release
			}
		}
	}, a, b)
	var hanging sync.WaitGroup
	hanging.Add(1)
	go func() {
		defer hanging.Done()
		for range 6 {
			a.must("/bin/true")
		}
	}()
	for i := range 20 {
		b.must(fmt.Sprintf("cp /helper /copy%d; /copy%d", i, i))
		time.Sleep(50 * time.Millisecond)
	}
	hanging.Wait()
	if _, unjudged := c.asked(); len(unjudged) < 6 || slices.ContainsFunc(unjudged, func(a Access) bool { return a.Subject != 1 }) {
		t.Errorf("unjudged: %+v", unjudged)
	}
	close(release)
	soon(t, "nothing waits any more", func() bool {
		s, err := l.Status()
		return err == nil && s.Subjects[0].Pending == 0
	})
	soon(t, "it is judged again", func() bool {
		a.must("cp /bin/true /t; /t")
		_, unjudged := c.asked()
		return len(unjudged) == 0
	})
}

func TestALoopThatStandsStill(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, func(cfg *Config, _ *court) { cfg.Bound = time.Second }, b)
	b.must("/bin/true")
	l.table.mu.Lock()
	begun := time.Now()
	out := b.sh("/bin/true && /helper")
	took := time.Since(begun)
	l.table.mu.Unlock()
	if out.Output != "ran\n" || took > 4*time.Second {
		t.Errorf("%s %s, after %v", out.Failed, out.Output, took)
	}
	if l.counts.stalls.Load() == 0 {
		t.Error("the stall is not counted")
	}
	b.must("/bin/true")
}

func TestWrites(t *testing.T) {
	b := newBox(t)
	var mu sync.Mutex
	got := make(map[string]bool)
	anything := false
	_, _ = start(t, func(cfg *Config, _ *court) {
		cfg.Gather = time.Millisecond
		cfg.Written = func(w Written) {
			mu.Lock()
			defer mu.Unlock()
			for _, p := range w.Paths {
				got[p] = w.Subject == 1
			}
			anything = anything || w.Any
		}
	}, b)
	b.must("echo > /new; echo >> /vol/new; echo > /tmp/new; touch /bin/ls; cat /new > /dev/null; echo > /gone; rm /gone")
	soon(t, "the writes are told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got["/new"] && got["/vol/new"] && got["/tmp/new"]
	})
	mu.Lock()
	if got["/dev/null"] || anything {
		t.Errorf("told of %v, anything: %v", got, anything)
	}
	mu.Unlock()
	b.must("mkdir /many; i=0; while [ $i -lt 2000 ]; do : > /many/$i; i=$((i+1)); done")
	soon(t, "too many writes are told as anything, or each", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return anything || len(got) >= 2000
	})
}

func TestTheKernelLosesNotifications(t *testing.T) {
	needRoot(t)
	const setting = "/proc/sys/fs/fanotify/max_queued_events"
	before, err := os.ReadFile(setting)
	if err != nil {
		t.Skip("this kernel does not let the length of fanotify queues be set:", err)
	}
	if err := os.WriteFile(setting, []byte("16"), 0o644); err != nil {
		t.Skip("the length of fanotify queues cannot be set:", err)
	}
	b := newBox(t)
	hold := make(chan struct{})
	var anything atomic.Bool
	l, _ := start(t, func(cfg *Config, _ *court) {
		cfg.Written = func(w Written) { anything.Store(anything.Load() || w.Any) }
	}, b)
	if err := os.WriteFile(setting, before, 0o644); err != nil {
		t.Fatal(err)
	}
	close(hold)
	l.writes.mu.Lock() // the reader of notifications stands still
	b.must("mkdir /many; i=0; while [ $i -lt 200 ]; do : > /many/$i; i=$((i+1)); done")
	l.writes.mu.Unlock()
	soon(t, "that is told", anything.Load)
	if l.counts.overflows.Load() == 0 {
		t.Error("the overflow is not counted")
	}
}

func TestAGuardThatIsKilled(t *testing.T) {
	b := newBox(t)
	guard := exec.Command("/proc/self/exe", strconv.Itoa(b.pid))
	guard.Env = []string{helperRole + "=guard"}
	guard.Stderr = os.Stderr
	out, err := guard.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "watching" {
		t.Fatalf("the guard says %q", lines.Text())
	}
	ended := make(chan outcome, 1)
	go func() { ended <- b.sh("/helper") }()
	if !lines.Scan() || lines.Text() != "asked" {
		t.Fatalf("the guard says %q", lines.Text())
	}
	select {
	case o := <-ended:
		t.Fatalf("it did not wait for an answer: %+v", o)
	case <-time.After(100 * time.Millisecond):
	}
	if err := guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = guard.Wait()
	select {
	case o := <-ended:
		if o.Output != "ran\n" {
			t.Errorf("%+v", o)
		}
	case <-time.After(10 * time.Second):
		t.Error("what waited for an answer still waits")
	}
}

// guardInBox is a guard as a process of its own, whose judge never answers.
func guardInBox() int {
	pid, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return 2
	}
	l, err := Start(Config{Judge: silent{}, Bound: time.Hour})
	if err == nil {
		err = l.Watch(Subject{ID: 1, PID: pid})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("watching")
	select {}
}

type silent struct{}

func (silent) HasSize(uint64, int64) bool {
	fmt.Println("asked")
	select {}
}
func (silent) Has(uint64, int64, [32]byte) bool { return false }
func (silent) Verified(uint64, Stamp)           {}
func (silent) Unknown(*Access) Answer           { return Answer{} }
func (silent) Unjudged(*Access)                 {}

func TestClosingLetsEverythingGoOn(t *testing.T) {
	b := newBox(t)
	release := make(chan struct{})
	asked := make(chan struct{}, 100)
	l, _ := start(t, func(cfg *Config, c *court) {
		cfg.Bound = time.Hour
		c.hasSize = func(uint64, int64) { asked <- struct{}{}; <-release }
	}, b)
	ended := make(chan outcome, 1)
	go func() { ended <- b.sh("/helper") }()
	<-asked
	l.Close()
	select {
	case o := <-ended:
		if o.Output != "ran\n" {
			t.Errorf("%+v", o)
		}
	case <-time.After(10 * time.Second):
		t.Error("it still waits")
	}
	close(release)
	l.Close()
}

func TestWatchingWhatIsNot(t *testing.T) {
	needRoot(t)
	l, _ := start(t, nil)
	for _, s := range []Subject{{}, {ID: 1}, {ID: 1, PID: 1 << 22}} {
		if err := l.Watch(s); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	l.Unwatch(7)
	if _, err := Start(Config{}); err == nil {
		t.Error("without a judge: no error")
	}
	if s, err := l.Status(); err != nil || len(s.Subjects) != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestASubjectThatEnds(t *testing.T) {
	b := newBox(t)
	l, _ := start(t, nil, b)
	if err := unix.Kill(b.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	soon(t, "nothing holds its mounts", func() bool { return len(marks(t, l, 1)) == 0 })
	l.Unwatch(1)
}

func TestFacts(t *testing.T) {
	needRoot(t)
	f := Probe()
	t.Logf("%+v", f)
	if !f.Permission || !f.Filesystem || f.Queue == 0 {
		t.Errorf("%+v", f)
	}
}
