package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"golang.org/x/sys/unix"
)

// Stop ends every process of a container with SIGKILL, and returns when they are
// gone; ErrGone where there was nothing left to stop. ctx bounds it. It then waits
// a little for containerd to have seen it, so that what that says next is true;
// that it has not is no error.
//
// The container is the one that was described and no other: its first process is
// held by a descriptor (pidfd_open(2)) before its start time is compared, and is
// killed through that. Where it is process 1 of its own PID namespace, the kernel
// ends all others with it. Where it is not (the node's PID namespace, or one that
// a pod shares), all in the container's control group are killed; what has left
// the group, which takes root on the node, escapes that. Nothing of this waits for
// containerd, which is asked only where the kernel alone did not do.
func (r *Runtime) Stop(ctx context.Context, c *Container) error {
	doing := "stopping container " + c.ID
	init, err := r.hold(c)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer func() { _ = unix.Close(init) }()
	var g *group
	if !c.Lone {
		g = r.openGroup(c.Cgroup)
		defer g.close()
		if !r.alive(c.Init) { // the group may be another's by now
			return fmt.Errorf("%s: %w", doing, ErrGone)
		}
	}
	err = unix.PidfdSendSignal(init, unix.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	g.kill()
	if err == nil && r.ended(ctx, init, g, patience) == nil {
		r.awaitSeen(ctx, c)
		return nil
	}
	asking, cancel := context.WithCancel(ctx) // containerd may take long, and the kernel be quicker
	defer cancel()
	go func() {
		if err := r.askKill(asking, c); err != nil && asking.Err() == nil && !errors.Is(err, ErrGone) {
			r.c.Log.Warn("containerd could not kill a container", "container", c.ID, "error", err)
		}
	}()
	if err := r.ended(ctx, init, g, 0); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	r.awaitSeen(ctx, c)
	return nil
}

// patience is how long the kernel is given before containerd is asked too: what
// is frozen (cgroup v1) must be thawed before it can die.
const patience = 50 * time.Millisecond

// ended waits until the first process has ended and its control group, if there
// is one, is empty. It gives up after the time, if that is not zero.
func (r *Runtime) ended(ctx context.Context, init int, g *group, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if err := awaitProcess(ctx, init); err != nil {
		return fmt.Errorf("its first process has not ended: %w", err)
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		left := g.kill()
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of its processes have not ended: %w", left, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// hold returns a descriptor of the container's first process.
func (r *Runtime) hold(c *Container) (int, error) {
	if c.Init.PID == 0 {
		return -1, ErrGone
	}
	fd, err := unix.PidfdOpen(c.Init.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, ErrGone
	}
	if err != nil {
		return -1, fmt.Errorf("holding its process %d: %w\nhint: it takes Linux 5.4, the node's PID namespace and CAP_KILL", c.Init.PID, err)
	}
	if !r.alive(c.Init) { // from here on the id is not given to another
		_ = unix.Close(fd)
		return -1, ErrGone
	}
	return fd, nil
}

// askKill has containerd kill all processes, if the container is still the same,
// and thaw it.
func (r *Runtime) askKill(ctx context.Context, c *Container) error {
	n := name{c.Namespace, c.ID}
	pid, status, err := r.askTask(ctx, n)
	if err != nil {
		return err
	}
	if pid != c.Init.PID {
		return ErrGone
	}
	ctx, cancel := r.in(ctx, c.Namespace)
	defer cancel()
	_, err = r.tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: c.ID, Signal: uint32(unix.SIGKILL), All: true})
	err = explain("killing its processes", err)
	if status == Paused { // killing has thawed it where runc is recent
		_, thawed := r.tasks.Resume(ctx, &tasksapi.ResumeTaskRequest{ContainerID: c.ID})
		if err != nil {
			err = errors.Join(err, explain("thawing it", thawed))
		}
	}
	return err
}

// meant asks containerd whether the container's first process is still the same.
func (r *Runtime) meant(ctx context.Context, c *Container) error {
	pid, status, err := r.askTask(ctx, name{c.Namespace, c.ID})
	if err != nil {
		return err
	}
	if pid != c.Init.PID || status == Stopped || !r.alive(c.Init) {
		return ErrGone
	}
	return nil
}

// awaitProcess waits until the process has ended: its descriptor can then be read.
func awaitProcess(ctx context.Context, fd int) error {
	for {
		look := 20 // ms between looks at ctx; the end itself wakes at once
		if d, ok := ctx.Deadline(); ok {
			look = max(0, min(look, int(time.Until(d).Milliseconds())))
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, look)
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// seenWithin is how long containerd is given to see that a container has ended.
const seenWithin = 250 * time.Millisecond

// awaitSeen waits until containerd knows of the end.
func (r *Runtime) awaitSeen(ctx context.Context, c *Container) {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	pid, status, err := r.askTask(ctx, name{c.Namespace, c.ID})
	if err == nil && pid == c.Init.PID && status != Stopped {
		question, cancel := r.in(ctx, c.Namespace)
		defer cancel()
		_, err = r.tasks.Wait(question, &tasksapi.WaitRequest{ContainerID: c.ID})
		err = explain("waiting for its end", err)
	}
	if err != nil && !errors.Is(err, ErrGone) {
		r.c.Log.Warn("a container was stopped, and containerd has not seen it yet", "container", c.ID, "error", err)
	}
}

// Pause freezes all processes of a container; ErrGone where it does not run.
func (r *Runtime) Pause(ctx context.Context, c *Container) error {
	return r.held(ctx, c, "pausing container "+c.ID, func(ctx context.Context) error {
		_, err := r.tasks.Pause(ctx, &tasksapi.PauseTaskRequest{ContainerID: c.ID})
		return err
	})
}

// Resume thaws them again.
func (r *Runtime) Resume(ctx context.Context, c *Container) error {
	return r.held(ctx, c, "resuming container "+c.ID, func(ctx context.Context) error {
		_, err := r.tasks.Resume(ctx, &tasksapi.ResumeTaskRequest{ContainerID: c.ID})
		return err
	})
}

// held asks for something to be done to a container that is still the same.
func (r *Runtime) held(ctx context.Context, c *Container, doing string, do func(context.Context) error) error {
	fd, err := r.hold(c)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		err = r.meant(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ctx, cancel := r.in(ctx, c.Namespace)
	defer cancel()
	return explain(doing, do(ctx))
}
