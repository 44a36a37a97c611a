package roll_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/storetest"
)

// What an API server does.
const (
	answers = iota
	loses   // does what it is told, and says that it did not
	fails   // 503
	hangs   // takes the call, and never answers
)

// moody stands before an API server.
type moody struct {
	mood atomic.Int32
	*httptest.Server
}

func newMoody(t *testing.T, c *cluster.Cluster) *moody {
	t.Helper()
	to, err := url.Parse(c.Config().Host)
	check(t, err)
	through := httputil.NewSingleHostReverseProxy(to)
	through.Transport, err = rest.TransportFor(c.Config())
	check(t, err)
	through.FlushInterval = -1 // a watch
	through.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	m, ended := &moody{}, make(chan struct{})
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mood := m.mood.Load(); {
		case mood == hangs:
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		case mood == fails:
			w.WriteHeader(http.StatusServiceUnavailable)
		case mood == loses && r.Method == http.MethodPatch:
			through.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { close(ended); m.CloseClientConnections(); m.Close() })
	return m
}

const month = 30 * 24 * time.Hour

// older is a cluster in which what began until a moment is a month older, for eyes and
// hands.
type older struct {
	*roll.Cluster
	*roll.Hands
	namespace string
	until     time.Time
}

func (o older) Fleet(ctx context.Context) (*rehydrate.Fleet, rehydrate.Limits, error) {
	f, l, err := o.Cluster.Fleet(ctx)
	if err != nil {
		return nil, l, err
	}
	own := f.Workloads[:0]
	for _, w := range f.Workloads {
		if !w.Started.After(o.until) {
			w.Started = w.Started.Add(-month)
		}
		if w.Namespace == o.namespace {
			own = append(own, w)
		}
	}
	f.Workloads = own
	return f, l, nil
}

func (o older) Look(ctx context.Context, s *rehydrate.Step) (rehydrate.Stage, string, error) {
	seen := *s
	seen.Started = s.Started.Add(month)
	return o.Hands.Look(ctx, &seen)
}

func (older) Ask(context.Context, *rehydrate.Workload) (rehydrate.Follower, error) {
	return rehydrate.Follower{Answer: rehydrate.Allowed}, nil
}

// The API server fails for an hour in the middle of a replacement, and another
// controller finds what was begun: no call holds it for long, nothing is done twice,
// and afterwards it goes on.
func TestAnAPIServerThatFailsForAnHour(t *testing.T) {
	c := shared.Use(t)
	server(t, c) // its namespace, for the lease
	ns := c.Namespace(t, "outage", nil)
	d := deployment(t, c, ns, 2)
	until := time.Now()
	m := newMoody(t, c)
	k := runs(t, c, func(config *roll.Config) { config.REST, config.Patience = &rest.Config{Host: m.URL}, time.Second })
	await(t, c, k, ns, 1)
	t.Cleanup(func() { // it ends in two seconds, and the next test has no such patience
		_ = c.Client().CoordinationV1().Leases("touchstone").Delete(context.Background(), roll.LeaseName, metav1.DeleteOptions{})
	})
	store := storetest.Open(t)
	var later atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	look := older{k, k.Hands(), ns, until}
	open := func(holder string) *rehydrate.Controller {
		return rehydrate.New(rehydrate.Config{
			Store: store, Runs: look, Hands: look, Gate: look, Cluster: "pay-1", Log: slog.New(slog.DiscardHandler), Now: clock,
			Lease: &roll.Lease{Client: look.Client, Namespace: "touchstone", Holder: holder, Lasts: 2 * time.Second, Now: clock},
		})
	}
	one := open("one")
	m.mood.Store(loses)
	c.Eventually(t, "it is begun, and nobody says so", time.Minute, func(ctx context.Context) error {
		if err := one.Tick(ctx); err != nil {
			return err
		}
		return said(ctx, store, rehydrate.Planned, 1)
	})
	for _, mood := range []int32{fails, hangs} {
		m.mood.Store(mood)
		for range 4 {
			later.Add(int64(10 * time.Minute))
			began := time.Now()
			if err := one.Tick(t.Context()); err == nil {
				t.Error("it has failed, and nobody is told")
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("one look has taken %s", took)
			}
		}
	}
	m.mood.Store(answers)
	two := open("two")
	d = rolled(t, c, d, 2, 2)
	c.Eventually(t, "another goes on, and settles it", time.Minute, func(ctx context.Context) error {
		if err := two.Tick(ctx); err != nil {
			return err
		}
		return said(ctx, store, rehydrate.Replaced, 1)
	})
	if d.Generation != 2 || said(t.Context(), store, rehydrate.Planned, 1) != nil {
		t.Errorf("it was changed %d times: %v", d.Generation-1, said(t.Context(), store, rehydrate.Planned, 1))
	}
	if got, err := c.Client().AppsV1().Deployments(ns).Get(t.Context(), d.Name, metav1.GetOptions{}); err != nil || got.Generation != d.Generation {
		t.Errorf("it was changed again: %v", err)
	}
}

// said returns an error unless the record says that so many times.
func said(ctx context.Context, store record.Store, what rehydrate.What, want int) error {
	n := 0
	for e, err := range store.Entries(ctx, record.EntryQuery{Kinds: []string{rehydrate.Kind}}) {
		if err != nil {
			return err
		}
		body, err := store.Blob(ctx, e.Body)
		if err != nil {
			return err
		}
		told, err := rehydrate.ReadTold(body)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if told.What == what {
			n++
		}
	}
	if n != want {
		return fmt.Errorf("%d times it says %s", n, what)
	}
	return nil
}
