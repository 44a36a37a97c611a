package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/prometheus/client_golang/prometheus"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

// Config is what a Server needs. Data, Gate and Rules are required.
type Config struct {
	// Data is the folder that holds everything; it is made.
	Data string
	// Listen is where the API is, host:port; 127.0.0.1:8443 when empty. Port 0
	// takes any that is free.
	Listen string
	// WebhookListen is where Gates are asked; it is not opened without one.
	// 127.0.0.1:9443 when empty.
	WebhookListen string
	// Hosts are the names and addresses that the certificate is for, besides the
	// loopback's: those of the Service in front.
	Hosts []string
	// Cluster names the cluster that this server stands in, where there is one.
	Cluster string
	// Tool names the program: "touchstone 1.2".
	Tool string

	// Gate inspects and gathers.
	Gate *gate.Gate
	// Rules is the file that the server begins with; RulesName is how it is called
	// in messages.
	Rules     []byte
	RulesName string
	// Enforce, Platforms, Workers, Queue, Registries and Keychain are those of
	// gate.DoorConfig.
	Enforce    bool
	Platforms  []string
	Workers    int
	Queue      int
	Registries oci.Registries
	Keychain   func(context.Context, gate.Credential) (authn.Keychain, error)

	// UpdateEvery fetches advisories by Update again and again. Nothing is fetched
	// when it is zero: somebody else then brings them.
	UpdateEvery time.Duration
	Update      func(context.Context) error

	// Gates make what stands at a cluster's door.
	Gates []func(*Rooms) (*Gate, error)

	// Retention says how long what entries hold is kept; gate.DefaultRetention and
	// a week for Idempotency-Keys when nil.
	Retention gate.Retention

	// Tell is where a person at the first start reads; the token is told there,
	// once.
	Tell io.Writer
	Log  *slog.Logger
	Now  func() time.Time
}

// Rooms are what a Gate works with.
type Rooms struct {
	Store   record.Store
	Door    *gate.Door
	Release *release.Release
	Cluster string
	// GateKey is what a cluster's webhooks have in their paths.
	GateKey string
	// CABundle returns the authorities that sign the server's certificate, in PEM,
	// and a channel that is closed when they change.
	CABundle func() ([]byte, <-chan struct{})
	Log      *slog.Logger
	Now      func() time.Time
}

// Gate is what stands at a cluster's door.
type Gate struct {
	// Webhook answers the cluster; nil where nothing is asked. One Gate at most
	// has one.
	Webhook http.Handler
	// Run works until the context ends; nil for nothing. When it returns an error
	// the server ends.
	Run func(context.Context) error
	// Labels returns those of a namespace of the server's own cluster; nil where
	// nobody can be asked.
	Labels func(ctx context.Context, namespace string) (map[string]string, error)
	// Warnings tells what people should know, for /readyz; nil for nothing.
	Warnings func(context.Context) []string
	// Metrics are served beside the server's own.
	Metrics []prometheus.Collector
	// Nodes are those of the server's own cluster; nil where none can be asked. One
	// Gate at most has them.
	Nodes Nodes
}

// Nodes is what a cluster tells of its nodes, and does there for the guards on them.
// It may be used from many goroutines.
type Nodes interface {
	// Guard returns the node whose guard holds a token of the cluster's own, and ""
	// for whoever is none.
	Guard(ctx context.Context, token string) (node string, err error)
	// Pods returns those of a node, by memory, and what is closed when they may have
	// changed. An error may be gone in a moment.
	Pods(ctx context.Context, node string) ([]gate.Pod, <-chan struct{}, error)
	// Follow says what would be made in the place of a pod.
	Follow(context.Context, *gate.Pod) (Follower, error)
	// Evict evicts a pod, as far as disruption budgets let it: held says what keeps
	// it, and after how long to ask again.
	Evict(context.Context, *gate.Pod) (held string, after time.Duration, err error)
	// Tell shows what was seen in a pod, or on its node where it is nil, to who looks
	// at the cluster. It does not wait.
	Tell(*gate.Pod, *touchstone.RuntimeEvent)
}

// Follower is what would be made in the place of a pod.
type Follower struct {
	Verdict touchstone.Verdict // what the door would say to it
	Reasons []string           // why it would not come, a sentence each
	Images  []string           // that a node would have to pull
}

func (c Config) withDefaults() (Config, error) {
	if c.Data == "" || c.Gate == nil || len(c.Rules) == 0 {
		return c, errors.New("a server needs a data folder, a gate and rules")
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8443"
	}
	if c.WebhookListen == "" {
		c.WebhookListen = "127.0.0.1:9443"
	}
	if c.RulesName == "" {
		c.RulesName = "the rules"
	}
	if c.Tool == "" {
		c.Tool = actorServer
	}
	if c.Retention == nil {
		c.Retention = gate.DefaultRetention()
		c.Retention[kindOnce] = 7 * 24 * time.Hour
		c.Retention[kindGuard] = 30 * 24 * time.Hour
		c.Retention[kindEviction] = 400 * 24 * time.Hour
	}
	if c.Tell == nil {
		c.Tell = io.Discard
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}
