package guard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/containerd"
)

// Runtime is what runs on the node.
type Runtime interface {
	// Watch tells of what runs now and of everything that happens, one event at a
	// time, until the context ends.
	Watch(ctx context.Context, tell func(containerd.Event)) error
	// Stop ends every process of the container, and returns when they have ended.
	Stop(ctx context.Context, c *containerd.Container) error
}

// Config is what a Guard needs. Source and Data are required, and one of Runtime and
// Host.
type Config struct {
	// Source tells what is judged by.
	Source Source
	// Server is told and asked; nil where there is none.
	Server Server
	// Runtime is where the containers are; nil where only the host is guarded.
	Runtime Runtime
	// Host is the node itself, guarded like a container; nil where it is not.
	Host *Host

	// Node is the node's name, as the cluster has it; the machine's when empty.
	Node string
	// Data is the folder for what outlasts the guard: journal, manifests, evidence.
	Data string
	// Socket is where the guard answers on this machine; /run/touchstone/guard.sock
	// when empty.
	Socket string
	// Metrics is an address, host:port, for Prometheus; empty for none but that of
	// the socket.
	Metrics string
	// Pins is the folder of the BPF file system in which enforcement outlasts the
	// guard; /sys/fs/bpf/touchstone when empty.
	Pins string
	// Without names layers that are not used: "fanotify", "bpf".
	Without []string
	// KillNow lets a rule kill without the days in which it only blocks.
	KillNow bool
	// Evidence returns the manifest of an image out of the evidence of this machine,
	// and fs.ErrNotExist where there is none; nil where nobody keeps evidence.
	Evidence func(ctx context.Context, image ImageID, to io.Writer) error

	// CanaryEvery is how often the layers are proven to work; a minute when zero.
	CanaryEvery time.Duration
	// DriftEvery is how often every container is compared with its image although
	// nothing tells that it has changed; a minute when zero.
	DriftEvery time.Duration
	// AnswerWithin bounds how long an execution waits for its verdict; 2 seconds when
	// zero.
	AnswerWithin time.Duration

	// Tell is called with every event, from one goroutine at a time; nil for nobody.
	Tell func(*touchstone.RuntimeEvent)
	Tool string // "touchstone 1.2"
	Log  *slog.Logger
	Now  func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.Source == nil || c.Data == "" || c.Runtime == nil && c.Host == nil {
		return c, errors.New("a guard needs a source of rules, a data folder, and a runtime or a host")
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
	if c.Socket == "" {
		c.Socket = filepath.Join("/run/touchstone", SocketName)
	}
	if c.Pins == "" {
		c.Pins = "/sys/fs/bpf/touchstone"
	}
	for _, d := range []struct {
		of *time.Duration
		or time.Duration
	}{{&c.CanaryEvery, time.Minute}, {&c.DriftEvery, time.Minute}, {&c.AnswerWithin, 2 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.or
		}
	}
	if c.Tell == nil {
		c.Tell = func(*touchstone.RuntimeEvent) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}
