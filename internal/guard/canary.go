package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// canary is a subject of the guard's own, in which a program that no image holds is
// executed again and again, to see that it is stopped.
type canary struct {
	id    uint64
	rooms atomic.Uint64 // for names
}

// runCanary proves each layer at an interval. A canary that runs, or a layer that the
// kernel does not have any more, is an alarm.
func (g *Guard) runCanary(ctx context.Context) error {
	every := time.NewTicker(g.c.CanaryEvery)
	defer every.Stop()
	for {
		g.prove(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

func (g *Guard) prove(ctx context.Context) {
	for _, name := range []string{layerFanotify, layerBPF} {
		if !g.layers.has(name) {
			g.figures.layers.WithLabelValues(name).Set(0)
			continue
		}
		g.figures.layers.WithLabelValues(name).Set(1)
		err := g.sendCanary(ctx, name)
		if ctx.Err() != nil {
			return
		}
		g.layers.mu.Lock()
		if err == nil {
			g.layers.proven[name] = g.c.Now()
			delete(g.layers.problems, name)
		} else {
			g.layers.problems[name] = err.Error()
		}
		g.layers.mu.Unlock()
		if err == nil {
			g.figures.canary.WithLabelValues(name).Set(1)
			continue
		}
		g.figures.canary.WithLabelValues(name).Set(0)
		g.trouble(fmt.Sprintf("the layer %s is not proven to work: %v", name, err))
	}
}

// sendCanary executes one canary where only the named layer looks, and returns nil
// where that stopped it.
func (g *Guard) sendCanary(ctx context.Context, layer string) error {
	c, err := g.newCage()
	if err != nil {
		return fmt.Errorf("the canary could not be prepared: %w", err)
	}
	defer c.close()
	switch layer {
	case layerFanotify:
		if err := g.layers.fanotify.Watch(fanotify.Subject{ID: g.canary.id, PID: c.pid, FailClosed: true}); err != nil {
			return err
		}
		defer g.layers.fanotify.Unwatch(g.canary.id)
	case layerBPF:
		// By nothing but its mount namespace: its control group is the guard's own.
		id, err := g.layers.bpf.Identify(c.pid)
		if err != nil {
			return err
		}
		if err := g.layers.bpf.Watch(g.canary.id, bpf.Identity{MountNS: id.MountNS}, bpf.Mode{Unverified: bpf.Kill, Nameless: bpf.Kill}); err != nil {
			return err
		}
		defer func() { _ = g.layers.bpf.Unwatch(g.canary.id) }()
	}
	ended, err := c.fly(ctx)
	switch {
	case err != nil:
		return err
	case layer == layerFanotify && ended.Exited() && ended.ExitStatus() == int(unix.EPERM):
		return nil
	case layer == layerBPF && ended.Signaled() && ended.Signal() == unix.SIGKILL:
		return nil
	case ended.Exited() && ended.ExitStatus() == canaryStatus:
		return errors.New("a canary ran, and ought to have been stopped: nothing unknown is stopped by this layer")
	default:
		return fmt.Errorf("the canary ended with wait status %#x", uint32(ended))
	}
}

// cage is a process in a mount namespace with nothing in it but a memory file system,
// which waits to become the canary.
type cage struct {
	pid   int
	door  *os.File // a byte through it lets the canary fly
	ended chan syscall.WaitStatus
}

// newCage starts the process. A thread goes into the namespace first, since a process
// begins where its parent's thread is; the thread ends thereafter.
func (g *Guard) newCage() (*cage, error) {
	canary, err := canaryProgram(strconv.FormatUint(g.canary.rooms.Add(1), 10))
	if err != nil {
		return nil, err
	}
	perch, err := perchProgram()
	if err != nil {
		return nil, err
	}
	room := filepath.Join(g.c.Data, "canary")
	if err := os.MkdirAll(room, 0o700); err != nil {
		return nil, err
	}
	inner, door, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inner.Close()
	c := &cage{door: door, ended: make(chan syscall.WaitStatus, 1)}
	onLostThread(func() {
		if err = enterCage(room, perch, canary); err == nil {
			c.pid, err = syscall.ForkExec("/perch", []string{"touchstone-canary"}, &syscall.ProcAttr{Files: []uintptr{inner.Fd()}})
		}
	})
	if err != nil {
		_ = door.Close()
		return nil, err
	}
	go c.wait()
	return c, nil
}

// onLostThread runs something on a thread that ends thereafter, and waits for it. It is
// never the process's first thread: that one is the process to everybody who looks at
// /proc/PID, this process included, and its namespace would be taken for the
// process's.
func onLostThread(do func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// While this waits, nothing else runs on the first thread.
			onLostThread(do)
			runtime.UnlockOSThread()
			close(done)
			return
		}
		do()
		close(done) // still locked: the thread ends with the goroutine
	}()
	<-done
}

// enterCage gives the calling thread a root of its own with nothing but the programs.
func enterCage(room string, perch, canary []byte) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting the mounts: %w", err)
	}
	if err := unix.Mount("touchstone-canary", room, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "size=64k,mode=0700"); err != nil {
		return fmt.Errorf("mounting memory: %w", err)
	}
	for name, program := range map[string][]byte{"perch": perch, canaryPath: canary} {
		if err := os.WriteFile(filepath.Join(room, name), program, 0o700); err != nil {
			return err
		}
	}
	if err := unix.Chdir(room); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	return unix.Chdir("/")
}

// wait waits for the process's end.
func (c *cage) wait() {
	for {
		var ended syscall.WaitStatus
		_, err := syscall.Wait4(c.pid, &ended, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		c.ended <- ended
		return
	}
}

// flyWithin bounds how long a canary may take: longer than any answer.
const flyWithin = 10 * time.Second

func (c *cage) fly(ctx context.Context) (syscall.WaitStatus, error) {
	if _, err := c.door.Write([]byte{1}); err != nil {
		return 0, fmt.Errorf("the canary could not be executed: %w", err)
	}
	select {
	case ended := <-c.ended:
		c.ended <- ended
		return ended, nil
	case <-time.After(flyWithin):
		return 0, errors.New("the canary is neither stopped nor does it run")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// close ends the process, and its namespace with it.
func (c *cage) close() {
	_ = c.door.Close()
	select {
	case <-c.ended: // its number may be another's by now
	default:
		_ = unix.Kill(c.pid, unix.SIGKILL)
	}
}

func (l *layers) has(name string) bool {
	if name == layerFanotify {
		return l.fanotify != nil
	}
	return l.bpf != nil
}
