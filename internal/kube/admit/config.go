package admit

import (
	"context"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// Door is what the webhook asks of the gate; *gate.Door is one.
type Door interface {
	Ask(context.Context, gate.Request) (*gate.Answer, error)
	Login(context.Context, gate.Request) (*gate.Answer, error)
}

// Road holds the rules that say what a place is; *release.Release is one. It is
// read for each review.
type Road interface {
	Book(context.Context) (*gate.Book, error)
}

// Config is what a Webhook needs. Door, Road, Cluster and Store are required.
type Config struct {
	Door    Door
	Road    Road
	Cluster Cluster
	// Store keeps who has broken the glass.
	Store record.Store
	// Name is the cluster's, as the rules' places call it.
	Name string
	// Key is the last part of the paths at which reviews are read, so that none but
	// the API server asks: a review says itself who the person is, and whoever could
	// send one could say that an administrator breaks the glass. Empty for no key.
	Key string
	// Own is the namespace that the gate runs in, and Guards the one that the guards
	// of its nodes do: whoever may write in either is trusted with the gate itself.
	Own, Guards string
	// System are the namespaces that the cluster cannot start without; kube-system,
	// kube-public and kube-node-lease when nil.
	System []string
	// Controllers are the users whose owner references to Kubernetes' own kinds are
	// believed, as patterns for touchstone.MatchName; the controller manager and the
	// service accounts of kube-system when nil. Where controllers run elsewhere, as
	// on some hosted clusters, name them.
	Controllers []string
	// Reports tells whether a namespace is in report mode, where even what fails
	// inside is let in with a warning; nil when none is. It must not block.
	Reports func(namespace string) bool
	// OnlyWarn never refuses what makes pods, and warns instead.
	OnlyWarn bool
	// Announce is told when somebody breaks the glass, after it is recorded; nil
	// for nobody. It must not block.
	Announce func(Glass)
	// MaxReview bounds one review, in bytes; 10 MB when zero. MaxImages bounds its
	// containers and image volumes; 2,000 when zero. MaxReading bounds what all
	// the reviews take that are being read at one time, in bytes of memory; 64 MB when
	// zero, and at least twice MaxReview.
	MaxReview  int64
	MaxImages  int
	MaxReading int64
	Log        *slog.Logger // slog.Default when nil
	Now        func() time.Time
}

// DefaultSystem are the namespaces that no cluster starts without.
func DefaultSystem() []string { return []string{"kube-system", "kube-public", "kube-node-lease"} }

// DefaultControllers are the names under which Kubernetes' own controllers write
// (kube-controller-manager, --use-service-account-credentials or not).
func DefaultControllers() []string {
	return []string{"system:kube-controller-manager", "system:serviceaccount:kube-system:*"}
}

// The paths that a Webhook answers; the key follows, after a slash, where there is
// one.
const (
	PathMutate   = "/mutate"
	PathValidate = "/validate"
)

// Path returns the path with the key.
func Path(path, key string) string {
	if key == "" {
		return path
	}
	return path + "/" + key
}

// Webhook answers admission reviews. It may be used from many goroutines.
type Webhook struct {
	c        Config
	mux      *http.ServeMux
	reading  *semaphore.Weighted // bytes
	decoding *semaphore.Weighted // reviews
}

// New returns a Webhook.
func New(c Config) *Webhook {
	if c.System == nil {
		c.System = DefaultSystem()
	}
	if c.Controllers == nil {
		c.Controllers = DefaultControllers()
	}
	if c.MaxReview == 0 {
		c.MaxReview = 10 << 20
	}
	if c.MaxImages == 0 {
		c.MaxImages = 2000
	}
	if c.MaxReading == 0 {
		c.MaxReading = 64 << 20
	}
	c.MaxReading = max(c.MaxReading, 2*c.MaxReview)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	w := &Webhook{c: c, mux: http.NewServeMux(), reading: semaphore.NewWeighted(c.MaxReading), decoding: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0)))}
	for path, mutate := range map[string]bool{PathMutate: true, PathValidate: false} {
		serve := w.keyed(func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r, mutate) })
		w.mux.HandleFunc("POST "+path, serve)
		w.mux.HandleFunc("POST "+path+"/{key}", serve)
	}
	return w
}

// keyed serves who knows the key, and nobody else.
func (w *Webhook) keyed(serve http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.PathValue("key")), []byte(w.c.Key)) != 1 {
			http.Error(rw, "the path does not hold this gate's key; touchstone admit install writes it into the webhooks", http.StatusForbidden)
			return
		}
		serve(rw, r)
	}
}

// ServeHTTP implements http.Handler: POST of an admission.k8s.io/v1 AdmissionReview
// to one of the paths, with the API server's "timeout" (a Go duration) in the query.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }
