// Package runtime is a containerd of its own, in a folder of its own, with
// containers and without a cluster around them: for figures and tests of what a
// node's guard does. It takes root, and containerd, ctr and runc as Debian has them.
//
// It is for nothing else: no network, no images but those that are given to it as
// archives, and everything is gone when it is closed.
package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Namespace is the one of containerd in which the containers are: that of the
// kubelet.
const Namespace = "k8s.io"

// Runtime is a containerd that runs until it is closed.
type Runtime struct {
	dir    string
	daemon *exec.Cmd
	log    bytes.Buffer
	ended  chan struct{}
}

// Open starts containerd, and returns when it answers. It wraps exec.ErrNotFound
// where a program is missing.
func Open(ctx context.Context) (*Runtime, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("starting containerd: %w", os.ErrPermission)
	}
	for _, program := range []string{"containerd", "ctr", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("starting containerd: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "trun") // short: a socket's path may have 107 bytes
	if err != nil {
		return nil, err
	}
	r := &Runtime{dir: dir, ended: make(chan struct{})}
	if err := r.start(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("starting containerd: %w\n%s", err, r.log.String())
	}
	return r, nil
}

func (r *Runtime) start(ctx context.Context) error {
	file, err := Configure(r.dir)
	if err != nil {
		return err
	}
	r.daemon = exec.Command("containerd", "--log-level", "warn", "--config", file)
	r.daemon.Stderr = &r.log
	if err := r.daemon.Start(); err != nil {
		r.daemon = nil
		return err
	}
	go func() {
		_ = r.daemon.Wait() // how it ended is in its log
		close(r.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := r.ctr(ctx, "version"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("it does not answer")
		case <-r.ended:
			return errors.New("it has ended")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Socket is where containerd listens.
func (r *Runtime) Socket() string { return socketIn(r.dir) }

// Folder is for whatever should be gone with the runtime.
func (r *Runtime) Folder() string { return r.dir }

func (r *Runtime) ctr(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "ctr", append([]string{"--address", r.Socket(), "-n", Namespace}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// Import takes in the images of an archive, under the names that it gives them.
func (r *Runtime) Import(ctx context.Context, archive string) error {
	_, err := r.ctr(ctx, "image", "import", archive)
	return err
}

// Start starts a container that runs the command, and returns when it runs.
func (r *Runtime) Start(ctx context.Context, image, id string, command ...string) error {
	_, err := r.ctr(ctx, append([]string{"run", "-d", "--runc-root", filepath.Join(r.dir, "runc"), "--cgroup", "/" + filepath.Base(r.dir) + "/" + id, image, id}, command...)...)
	return err
}

// PID returns the process number of a container's first process.
func (r *Runtime) PID(ctx context.Context, id string) (int, error) {
	out, err := r.ctr(ctx, "task", "ls")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == id {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("container %s does not run", id)
}

// Exec runs a command in a container, and returns what it wrote and how it ended.
func (r *Runtime) Exec(ctx context.Context, id, exec string, command ...string) (string, error) {
	out, err := r.ctr(ctx, append([]string{"task", "exec", "--exec-id", exec, id}, command...)...)
	return string(out), err
}

// Remove ends containers, with all that belongs to them. What has ended by itself is
// no error.
func (r *Runtime) Remove(ctx context.Context, ids ...string) error {
	var g errgroup.Group
	g.SetLimit(4)
	for _, id := range ids {
		g.Go(func() error {
			_, _ = r.ctr(ctx, "task", "kill", "-s", "9", "-a", id) // it may have ended
			_, _ = r.ctr(ctx, "task", "delete", "-f", id)
			_, err := r.ctr(ctx, "container", "delete", id)
			return err
		})
	}
	return g.Wait()
}

// closeWithin bounds how long the containers may take to end.
const closeWithin = 2 * time.Minute

// Close ends everything: containers, containerd, shims and mounts.
func (r *Runtime) Close() {
	if r.daemon != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
		defer cancel()
		if ids, err := r.ctr(ctx, "container", "ls", "-q"); err == nil {
			_ = r.Remove(ctx, strings.Fields(string(ids))...) // what is left of them ends with their shims
		}
		_ = r.daemon.Process.Kill()
		<-r.ended
	}
	Clear(r.dir)
	removeGroups("/" + filepath.Base(r.dir))
}

// removeGroups removes the control groups below a name, in each hierarchy.
func removeGroups(name string) {
	tops, _ := filepath.Glob("/sys/fs/cgroup/*" + name) // the pattern is well formed
	for _, top := range append(tops, "/sys/fs/cgroup"+name) {
		inner, _ := filepath.Glob(top + "/*")
		for _, g := range append(inner, top) {
			_ = syscall.Rmdir(g) // files of a group are no entries that need removing
		}
	}
}
