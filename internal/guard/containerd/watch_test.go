package containerd

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A container's life is told once and in order, with its execs and pauses.
func TestWatch(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	d.run("before", nil, "stubborn")
	w := r.keepDiary(t)
	w.await(t, "", EventSynced, 1)
	if e := w.await(t, "before", EventStarted, 1); !e.Late || e.Container.Init.PID == 0 || !e.Container.Image.Proven {
		t.Errorf("what ran before is told as %+v", e)
	}

	d.run("one", nil)
	began := w.await(t, "one", EventStarted, 1)
	if created := w.find("one", EventCreated, 1); created != nil {
		if c := created.Container; !c.Lone || c.Init != began.Container.Init || c.Namespaces != began.Container.Namespaces || c.Namespaces.Mount == 0 || !c.Image.Proven {
			t.Errorf("what waits for its start is told as %+v", c)
		}
		t.Logf("that it was made is told %s after containerd has told it, %s before its start", w.heardOf(*created).Sub(created.At), began.At.Sub(w.heardOf(*created)))
	}
	t.Logf("its start is told %s after containerd has told it", w.heardOf(began).Sub(began.At))
	if began.Late || began.Container.Init.PID == 0 || began.Container.Rootfs.Kind != RootfsOverlay || began.Container.Problem != "" {
		t.Errorf("its start is told as %+v", began)
	}
	d.ctr("-n", "k8s.io", "task", "exec", "-d", "--exec-id", "visit", "one", "/actor", "stubborn")
	entered := w.await(t, "one", EventExec, 1)
	if e := entered.Exec; e.ID != "visit" || e.Process.Start == 0 || e.Terminal || !slices.Equal(e.Command, []string{"/actor", "stubborn"}) {
		t.Errorf("the exec is told as %+v", e)
	}
	processes, err := r.Processes(context.Background(), &began.Container)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(processes, func(e Exec) bool { return e.ID == "visit" }); len(processes) != 2 || i < 0 || processes[i].Process != entered.Exec.Process {
		t.Errorf("processes %+v, want the first one and %+v", processes, entered.Exec)
	}
	_ = unix.Kill(entered.Exec.Process.PID, unix.SIGKILL)
	if e := w.await(t, "one", EventExecExited, 1); e.Exec.ID != "visit" || e.ExitCode != 137 {
		t.Errorf("the end of the exec is told as %+v", e)
	}
	if err := r.Pause(context.Background(), &began.Container); err != nil {
		t.Fatal(err)
	}
	w.await(t, "one", EventPaused, 1)
	if err := r.Resume(context.Background(), &began.Container); err != nil {
		t.Fatal(err)
	}
	w.await(t, "one", EventResumed, 1)
	_ = unix.Kill(began.Container.Init.PID, unix.SIGTERM)
	if e := w.await(t, "one", EventExited, 1); e.ExitCode != 0 || e.Late {
		t.Errorf("its end is told as %+v", e)
	}
	d.delete("one")
	w.await(t, "one", EventRemoved, 1)
	if got, want := strings.TrimPrefix(w.of("one"), "created "), "started exec exec-exited paused resumed exited removed"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	d.ctr("-n", "k8s.io", "image", "rm", testImage)
	if e := w.await(t, "", EventImageRemoved, 1); e.Image != testImage || e.Container.Namespace != "k8s.io" {
		t.Errorf("the end of the image is told as %+v", e)
	}
	w.end()
	if err := exec.Command("kill", "-0", fmt.Sprint(w.find("before", EventStarted, 1).Container.Init.PID)).Run(); err != nil {
		t.Error("the container that ran before does not run any more")
	}
}

// A container that is over at once is told of too, with its exit code or -1.
func TestWatchShortLives(t *testing.T) {
	d := newDaemon(t)
	w := d.open().keepDiary(t)
	w.await(t, "", EventSynced, 1)
	const n = 10
	for i := range n {
		id := fmt.Sprintf("short-%d", i)
		d.run(id, nil, "exit", "3")
		d.delete(id)
	}
	for i := range n {
		id := fmt.Sprintf("short-%d", i)
		if e := w.await(t, id, EventExited, 1); e.ExitCode != 3 && e.ExitCode != -1 && e.ExitCode != 137 { // 137: deleting was quicker
			t.Errorf("%s ended with code %d", id, e.ExitCode)
		}
		w.await(t, id, EventRemoved, 1)
		if got := strings.TrimPrefix(w.of(id), "created "); got != "started exited removed" {
			t.Errorf("of %s was told %q", id, got)
		}
	}
}

// While containerd is away containers run on; what came and went is told once it
// is back.
func TestWatchSurvivesContainerd(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	d.run("stays", nil, "stubborn")
	d.run("goes", nil, "stubborn")
	w := r.keepDiary(t)
	w.await(t, "", EventSynced, 1)
	for round := 1; round <= 3; round++ {
		d.kill()
		w.await(t, "", EventLost, round)
		if round == 2 {
			_ = unix.Kill(w.find("goes", EventStarted, 1).Container.Init.PID, unix.SIGKILL)
		}
		d.start()
		w.await(t, "", EventSynced, round+1)
	}
	w.await(t, "goes", EventExited, 1)
	if got := w.of("goes"); got != "started exited" {
		t.Errorf("of what ended meanwhile was told %q", got)
	}
	if got := w.of("stays"); got != "started" {
		t.Errorf("of what ran on was told %q", got)
	}
	d.run("new", nil, "stubborn")
	if e := w.await(t, "new", EventStarted, 1); e.Late {
		t.Error("events are not received after the restart")
	}
	d.ctr("-n", "k8s.io", "task", "exec", "-d", "--exec-id", "visit", "stays", "/actor", "stubborn")
	w.await(t, "stays", EventExec, 1)
	d.kill()
	d.start()
	w.await(t, "", EventSynced, 5)
	if got := w.of("stays"); got != "started exec" {
		t.Errorf("of what ran on was told %q", got)
	}
	// One that begins to watch learns of the exec too.
	other := r.keepDiary(t)
	if e := other.await(t, "stays", EventExec, 1); !e.Late || e.Exec.ID != "visit" {
		t.Errorf("an exec before the watch is told as %+v", e)
	}
}

// What no event told of is found by looking again.
func TestWatchLooksAgain(t *testing.T) {
	d := newDaemon(t)
	r, err := Open(Config{Address: d.socket, Relist: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	told := make(chan Event, 100)
	w := newWatcher(r, func(e Event) { told <- e })
	d.run("silent", nil, "stubborn")
	ctx := t.Context()
	if err := w.look(ctx, false); err != nil {
		t.Fatal(err)
	}
	if e := <-told; e.Kind != EventStarted || e.Container.ID != "silent" || !e.Late {
		t.Errorf("told %+v", e)
	}
	if err := w.look(ctx, true); err != nil {
		t.Fatal(err)
	}
	d.ctr("-n", "k8s.io", "task", "kill", "-s", "KILL", "silent")
	d.delete("silent")
	d.run("silent", nil, "stubborn") // another, with the same name
	if err := w.look(ctx, false); err != nil {
		t.Fatal(err)
	}
	if e := <-told; e.Kind != EventExited || e.Container.ID != "silent" {
		t.Errorf("told %+v", e)
	}
	if e := <-told; e.Kind != EventStarted || e.Container.ID != "silent" {
		t.Errorf("told %+v", e)
	}
	w.working.Wait()
	if len(told) != 0 {
		t.Errorf("told besides: %+v", <-told)
	}
}

// Many containers at once are all told of, quickly, and listed.
func TestWatchManyAtOnce(t *testing.T) {
	d := newDaemon(t)
	r := d.open()
	w := r.keepDiary(t)
	w.await(t, "", EventSynced, 1)
	const n, side = 50, 5
	done := make(chan struct{})
	for s := range side {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range n / side {
				d.run(fmt.Sprintf("many-%d", s*n/side+i), nil, "stubborn")
			}
		}()
	}
	for range side {
		<-done
	}
	var late []time.Duration
	for i := range n {
		e := w.await(t, fmt.Sprintf("many-%d", i), EventStarted, 1)
		late = append(late, w.heardOf(e).Sub(e.At))
		if e.Container.Problem != "" || !e.Container.Image.Proven {
			t.Errorf("%+v", e.Container)
		}
	}
	slices.Sort(late)
	t.Logf("told after containerd has: p50 %s, at most %s", late[n/2], late[n-1])
	begin := time.Now()
	list, err := r.List(context.Background())
	if err != nil || len(list) != n {
		t.Fatalf("%d containers, %v", len(list), err)
	}
	t.Logf("%d containers listed in %s", n, time.Since(begin))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept, err := r.List(context.Background())
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("one container takes %d bytes", (int(after.HeapAlloc)-int(before.HeapAlloc))/n)
	if err != nil || len(kept) != n {
		t.Fatalf("%d containers, %v", len(kept), err)
	}
	runtime.KeepAlive(kept)
	begin = time.Now()
	errs := make(chan error, n)
	for i := range list {
		go func() { errs <- r.Stop(context.Background(), &list[i]) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d containers stopped at once in %s", n, time.Since(begin))
	for i := range n {
		w.await(t, fmt.Sprintf("many-%d", i), EventExited, 1)
	}
}
