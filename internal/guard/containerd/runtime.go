package containerd

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	namespacesapi "github.com/containerd/containerd/api/services/namespaces/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Config says where containerd is and how it is asked. The zero value is that of
// a guard that runs on the node itself.
type Config struct {
	// Address is the path of containerd's socket as the guard sees it; "" means
	// /run/containerd/containerd.sock. "unix://" before it is understood.
	Address string
	// Namespaces are those of containerd that are looked at; none means all that
	// exist, those that come later included.
	Namespaces []string
	// HostRoot is put before each path of the node that is given out: where the
	// guard itself is in a container, "/proc/1/root" or the place where the node's
	// root is mounted.
	HostRoot string
	// Proc is where procfs is mounted, that of the node's PID namespace; "" means
	// /proc.
	Proc string
	// Idle bounds each wait for an answer; 0 means 10 s. It does not bound Stop.
	Idle time.Duration
	// Relist is how often Watch looks for what no event told; 0 means a minute.
	// It costs about one millisecond for each container that is not known yet, and
	// a read of /proc for each that is.
	Relist time.Duration
	// Retry is the longest pause between two tries to reach a containerd that does
	// not answer; 0 means 2 s. The first try is made after 50 ms.
	Retry time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what is of use to who runs the guard; nil means slog.Default().
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Address == "" {
		c.Address = "/run/containerd/containerd.sock"
	}
	c.Address = strings.TrimPrefix(c.Address, "unix://")
	if c.Proc == "" {
		c.Proc = "/proc"
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Second
	}
	if c.Relist == 0 {
		c.Relist = time.Minute
	}
	if c.Retry == 0 {
		c.Retry = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// The largest answer that is taken. containerd itself takes no container of more
// than 16 MiB.
const maxAnswer = 32 << 20

// Runtime is one containerd. It is safe for use by several goroutines.
type Runtime struct {
	c    Config
	conn *grpc.ClientConn

	containers containersapi.ContainersClient
	content    contentapi.ContentClient
	events     eventsapi.EventsClient
	images     imagesapi.ImagesClient
	namespaces namespacesapi.NamespacesClient
	snapshots  snapshotsapi.SnapshotsClient
	tasks      tasksapi.TasksClient

	builds *builds // of images, by what their names stand for
	host   func() Namespaces
}

// Open returns the containerd at the address. It is reached at the first
// question, and again whenever it was away.
func Open(c Config) (*Runtime, error) {
	c = c.withDefaults()
	pause := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: c.Retry}
	conn, err := grpc.NewClient("unix://"+c.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: pause, MinConnectTimeout: c.Idle}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, explain("reaching containerd at "+c.Address, err)
	}
	r := &Runtime{
		c: c, conn: conn,
		containers: containersapi.NewContainersClient(conn),
		content:    contentapi.NewContentClient(conn),
		events:     eventsapi.NewEventsClient(conn),
		images:     imagesapi.NewImagesClient(conn),
		namespaces: namespacesapi.NewNamespacesClient(conn),
		snapshots:  snapshotsapi.NewSnapshotsClient(conn),
		tasks:      tasksapi.NewTasksClient(conn),
		builds:     newBuilds(),
	}
	r.host = sync.OnceValue(r.hostNamespaces)
	return r, nil
}

// Close ends every call that is under way.
func (r *Runtime) Close() error { return r.conn.Close() }

// Version returns containerd's version, as it tells it: "1.6.20". It is the
// cheapest way to find out whether it answers.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.c.Idle)
	defer cancel()
	resp, err := versionapi.NewVersionClient(r.conn).Version(ctx, &emptypb.Empty{})
	if err != nil {
		return "", explain("asking for containerd's version", err)
	}
	return clip(resp.GetVersion(), maxName), nil
}

// in returns a context for one question within a namespace of containerd.
func (r *Runtime) in(ctx context.Context, namespace string) (context.Context, context.CancelFunc) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	return context.WithTimeout(ctx, r.c.Idle)
}

// onHost returns a path of the node as the guard sees it.
func (r *Runtime) onHost(path string) string {
	if path == "" || r.c.HostRoot == "" {
		return path
	}
	return filepath.Join(r.c.HostRoot, path)
}

// lookedAt returns the namespaces of containerd that are looked at.
func (r *Runtime) lookedAt(ctx context.Context) ([]string, error) {
	if len(r.c.Namespaces) > 0 {
		return r.c.Namespaces, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.Idle)
	defer cancel()
	resp, err := r.namespaces.List(ctx, &namespacesapi.ListNamespacesRequest{})
	if err != nil {
		return nil, explain("listing containerd's namespaces", err)
	}
	names := make([]string, 0, len(resp.GetNamespaces()))
	for _, n := range resp.GetNamespaces() {
		names = append(names, n.GetName())
	}
	return names, nil
}
