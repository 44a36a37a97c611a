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
		if err := g.layers.fanotify.Watch(fanotify.Subject{ID: g.canary.id, PID: c.tid, FailClosed: true}); err != nil {
			return err
		}
		defer g.layers.fanotify.Unwatch(g.canary.id)
	case layerBPF:
		if err := g.layers.bpf.Watch(g.canary.id, bpf.Identity{MountNS: c.mountNS}, bpf.Mode{Unverified: bpf.Kill, Nameless: bpf.Kill}); err != nil {
			return err
		}
		defer func() { _ = g.layers.bpf.Unwatch(g.canary.id) }()
	}
	ended, err := c.fly(ctx)
	switch {
	case layer == layerFanotify && errors.Is(err, unix.EPERM):
		return nil
	case err != nil:
		return fmt.Errorf("the canary could not be executed: %w", err)
	case layer == layerBPF && ended.Signaled() && ended.Signal() == unix.SIGKILL:
		return nil
	case ended.Exited() && ended.ExitStatus() == canaryStatus:
		return errors.New("a canary ran, and ought to have been stopped: nothing unknown is stopped by this layer")
	default:
		return fmt.Errorf("the canary ended with wait status %#x", uint32(ended))
	}
}

// cage is a mount namespace with nothing in it but a memory file system that holds
// one canary. A thread of the guard lives in it, and nowhere else.
type cage struct {
	tid     int
	mountNS uint32
	door    chan struct{} // closed when the canary is to be executed, or the cage to be left
	flown   chan flight
	left    atomic.Bool
}

type flight struct {
	ended syscall.WaitStatus
	err   error
}

// newCage starts the thread, which waits at the door.
func (g *Guard) newCage() (*cage, error) {
	program, err := canaryProgram(strconv.FormatUint(g.canary.rooms.Add(1), 10))
	if err != nil {
		return nil, err
	}
	room := filepath.Join(g.c.Data, "canary")
	if err := os.MkdirAll(room, 0o700); err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c := &cage{door: make(chan struct{}), flown: make(chan flight, 1)}
	ready := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace with it.
		runtime.LockOSThread()
		defer null.Close()
		err := enterCage(room, program)
		c.tid = unix.Gettid()
		ready <- err
		if err != nil {
			return
		}
		<-c.door
		if c.left.Load() {
			return
		}
		c.flown <- execute(null.Fd())
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/self/task/%d/ns/mnt", c.tid), &st); err != nil {
		c.close()
		return nil, err
	}
	c.mountNS = uint32(st.Ino)
	return c, nil
}

// enterCage gives the calling thread a root of its own with nothing but the program.
func enterCage(room string, program []byte) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting the mounts: %w", err)
	}
	if err := unix.Mount("touchstone-canary", room, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "size=64k,mode=0700"); err != nil {
		return fmt.Errorf("mounting memory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(room, "canary"), program, 0o700); err != nil {
		return err
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

// execute runs the canary and waits for its end. That it cannot be executed is known
// before there is a process.
func execute(null uintptr) flight {
	pid, err := syscall.ForkExec("/canary", []string{"touchstone-canary"}, &syscall.ProcAttr{Files: []uintptr{null, null, null}})
	if err != nil {
		return flight{err: err}
	}
	var f flight
	for {
		_, f.err = syscall.Wait4(pid, &f.ended, 0, nil)
		if !errors.Is(f.err, syscall.EINTR) {
			return f
		}
	}
}

// flyWithin bounds how long a canary may take: longer than any answer.
const flyWithin = 10 * time.Second

func (c *cage) fly(ctx context.Context) (syscall.WaitStatus, error) {
	close(c.door)
	select {
	case f := <-c.flown:
		return f.ended, f.err
	case <-time.After(flyWithin):
		return 0, errors.New("it is neither stopped nor does it run")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// close lets the thread go, and its namespace with it.
func (c *cage) close() {
	if c.left.CompareAndSwap(false, true) {
		select {
		case <-c.door:
		default:
			close(c.door)
		}
	}
}

func (l *layers) has(name string) bool {
	if name == layerFanotify {
		return l.fanotify != nil
	}
	return l.bpf != nil
}
