package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// daemon is one program of the cluster.
type daemon struct {
	name string
	argv []string
	// ready reports nil once the program can be used; nil for one that nobody
	// waits for.
	ready func(context.Context) error

	dir   string
	ended chan struct{} // closed when the process has; nil before it was started
	pid   int
	since time.Time // when it was started, to the second, as the API server counts
}

// start starts the program; its output goes to a file of its name. It does not
// outlive the test: the kernel kills it when the thread that started it ends,
// and Go keeps its threads as long as the process.
func (d *daemon) start(dir string) error {
	d.dir = dir
	log, err := os.OpenFile(filepath.Join(dir, d.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.argv[0], d.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", d.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	d.ended, d.pid, d.since = ended, cmd.Process.Pid, time.Now().Truncate(time.Second)
	return nil
}

// await waits until the program can be used.
func (d *daemon) await(ctx context.Context) error {
	var last error
	err := poll(ctx, 50*time.Millisecond, func() bool {
		select {
		case <-d.ended:
			return true
		default:
			last = d.ready(ctx)
			return last == nil
		}
	})
	select {
	case <-d.ended:
		return fmt.Errorf("%s has ended\n%s", d.name, d.tail())
	default:
	}
	if err != nil {
		return fmt.Errorf("%s is not ready: %w\n%s", d.name, last, d.tail())
	}
	return nil
}

// stop asks the program to end, and kills it when it has not after grace.
func (d *daemon) stop(grace time.Duration) {
	if d.ended == nil {
		return
	}
	_ = syscall.Kill(d.pid, syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(grace):
		d.kill()
	}
}

// kill ends the program at once, and waits until it has.
func (d *daemon) kill() {
	if d.ended == nil {
		return
	}
	select {
	case <-d.ended: // the id may be another's by now
		return
	default:
	}
	_ = syscall.Kill(d.pid, syscall.SIGKILL)
	<-d.ended
}

// tail returns the end of what the program has written.
func (d *daemon) tail() string {
	text, err := os.ReadFile(filepath.Join(d.dir, d.name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := bytes.SplitAfter(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], nil))
}

// poll calls done until it is true or the context ends.
func poll(ctx context.Context, every time.Duration, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
	return nil
}
