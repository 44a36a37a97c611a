// Package cluster starts a real Kubernetes for tests: etcd and kube-apiserver,
// and, as root, the controllers, the scheduler, the kubelet, containerd and runc
// of one node, on which real pods run from a real registry. It is not for
// clusters that anything but a test uses: nothing is durable, and one node runs
// on a machine at a time.
//
// All state lies in one temporary folder, and all ports are free ones, so that
// several API servers may run at once. Stop ends every process by its id and
// takes away mounts, control groups and network namespaces; what a killed test
// left of a node is swept when the next one starts.
//
// A test package shares one cluster:
//
//	var shared = cluster.NewShared(cluster.Options{})
//
//	func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		c := shared.Use(t) // starts it at first, skips where that cannot be
//		…
//	}
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options say what to start.
type Options struct {
	// Node starts the controllers, the scheduler and one node too; it needs root.
	Node bool
	// Flags are added to those of kube-apiserver.
	Flags []string
}

// Cluster is one that runs.
type Cluster struct {
	options Options
	dir     string
	ports   ports
	daemons []*daemon // in the order of their start
	admin   *rest.Config
	client  *kubernetes.Clientset
	lock    *os.File // held while the machine's one node is ours
	relay   net.Listener
}

// patience bounds every wait for a part of the cluster.
const patience = 2 * time.Minute

// Start starts a cluster and returns when it can be used. The caller stops it.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	programs, err := find(o)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o}
	if o.Node {
		if c.lock, err = takeNode(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.start(ctx, programs); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, p programs) error {
	var err error
	if c.dir, err = os.MkdirTemp("", folderPrefix); err != nil { // short: paths of sockets are
		return err
	}
	if c.options.Node {
		if err := mountFolder(c.dir); err != nil {
			return err
		}
	}
	if c.ports, err = freePorts(); err != nil {
		return err
	}
	if err := c.makeIdentities(); err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	c.daemons = c.controlPlane(p)
	if c.options.Node {
		node, err := c.node(ctx, p)
		if err != nil {
			return err
		}
		c.daemons = append(c.daemons, node...)
	}
	return c.Resume(ctx)
}

// Resume starts what Halt ended, on the same state, and returns when it can be
// used.
func (c *Cluster) Resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, d := range c.daemons {
		if err := d.start(c.dir); err != nil {
			return err
		}
		if d.ready == nil {
			continue
		}
		if err := d.await(ctx); err != nil {
			return err
		}
	}
	if c.options.Node {
		return c.awaitNode(ctx)
	}
	return nil
}

// Halt ends everything at once, as a loss of power does: the node's containers
// too. The state stays for Resume.
func (c *Cluster) Halt() {
	for i := len(c.daemons) - 1; i >= 0; i-- {
		c.daemons[i].kill()
	}
	if c.options.Node {
		killContainers(c.dir)
	}
}

// Stop ends everything and removes what the cluster left on the machine.
func (c *Cluster) Stop() error {
	c.Halt()
	var err error
	if c.relay != nil {
		err = c.relay.Close()
	}
	if c.dir != "" {
		if c.options.Node {
			err = errors.Join(err, cleanNode(c.dir))
		}
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	if c.lock != nil {
		err = errors.Join(err, c.lock.Close())
	}
	return err
}

// RestartAPIServer ends kube-apiserver and starts it again.
func (c *Cluster) RestartAPIServer(ctx context.Context) error {
	d := c.daemon("kube-apiserver")
	d.stop(5 * time.Second)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.start(c.dir); err != nil {
		return err
	}
	return d.await(ctx)
}

func (c *Cluster) daemon(name string) *daemon {
	for _, d := range c.daemons {
		if d.name == name {
			return d
		}
	}
	return nil
}

// Log returns what a part of the cluster has written, by the name of its
// program.
func (c *Cluster) Log(program string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, program+".log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Config returns how to reach the API server as a cluster administrator.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.admin) }

// ImpersonatedConfig returns how to reach it as somebody else, who may do what
// their roles allow.
func (c *Cluster) ImpersonatedConfig(user string, groups ...string) *rest.Config {
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	return config
}

// Kubeconfig returns the path of a kubeconfig of the administrator.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "admin.conf") }

// Client is the administrator's.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Shared is a cluster for all tests of a package, started when the first asks.
type Shared struct {
	options Options
	cluster *Cluster
	err     error
	asked   bool
}

// NewShared returns a cluster that is still to be started.
func NewShared(o Options) *Shared { return &Shared{options: o} }

// Main runs the tests and stops the cluster. It returns the exit code.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	if s.cluster == nil {
		return code
	}
	if err := s.cluster.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the cluster:", err)
		code = max(code, 1)
	}
	return code
}

// Use returns the cluster, started at the first call; the test is skipped where
// what it takes is not there. It is called before the test runs in parallel.
func (s *Shared) Use(t testing.TB) *Cluster {
	t.Helper()
	if !s.asked {
		s.asked = true
		s.cluster, s.err = Start(context.Background(), s.options)
	}
	var missing *MissingError
	if errors.As(s.err, &missing) {
		t.Skip(missing.Error())
	}
	if s.err != nil {
		t.Fatalf("starting the cluster: %v", s.err)
	}
	return s.cluster
}
