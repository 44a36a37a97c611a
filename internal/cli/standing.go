package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/install"
	"touchstone.dev/touchstone/internal/server"
)

// standing makes what stands at the door of the cluster: the webhook, and the
// watch over what runs there.
func standing(config *rest.Config, own, guards string, controllers []string, old rehydrating) func(*server.Rooms) (*server.Gate, error) {
	return func(rooms *server.Rooms) (*server.Gate, error) {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("reaching the cluster: %w", err)
		}
		klog.SetSlogLogger(rooms.Log) // what client-go says goes where all is said
		var off atomic.Pointer[[]string]
		broken := &announced{}
		cluster, err := kube.New(kube.Config{
			REST: config, Name: rooms.Cluster, Road: rooms.Release, Log: rooms.Log, Now: rooms.Now, Guards: install.GuardAccount(guards),
			GateOff: func(namespaces []string) { off.Store(&namespaces) },
		})
		if err != nil {
			return nil, err
		}
		rooms.Door.Allowed(func(r gate.Request) { nudge(cluster, r, rooms.Log) })
		keeper := install.Keeper{Client: client, Namespace: own, Guards: guards, Key: rooms.GateKey, Bundle: rooms.CABundle, Log: rooms.Log}
		hook := webhook(rooms, cluster, own, guards, controllers, broken)
		replaces := func(context.Context) error { return nil }
		var metrics []prometheus.Collector
		if old.mode != rehydrateOff {
			runs, controller, err := old.inCluster(rehydrationRooms{
				config: config, name: rooms.Cluster, own: own, store: rooms.Store, door: rooms.Door, road: rooms.Release, cluster: cluster, hook: hook, log: rooms.Log, now: rooms.Now,
			})
			if err != nil {
				return nil, err
			}
			background := context.Background() // events go on until the process ends
			c := controller(background)
			metrics = append(metrics, c)
			replaces = func(ctx context.Context) error { return together(ctx, runs.Run, c.Run) }
		}
		return &server.Gate{
			Webhook: hook,
			Metrics: metrics,
			Nodes:   &nodes{cluster, hook, []string{own, guards}},
			Run: func(ctx context.Context) error {
				g, ctx := errgroup.WithContext(ctx)
				g.Go(func() error { return cluster.Run(ctx, rooms.Door) })
				g.Go(func() error { return keeper.Run(ctx) })
				g.Go(func() error { return replaces(ctx) })
				return g.Wait()
			},
			Labels: func(ctx context.Context, namespace string) (map[string]string, error) {
				n, err := cluster.Namespace(ctx, namespace)
				if errors.Is(err, admit.ErrNone) {
					return nil, nil // it is still to be made
				}
				return n.Labels, err
			},
			Warnings: func(context.Context) []string {
				out := broken.lasting(rooms.Now())
				if names := off.Load(); names != nil && len(*names) > 0 {
					out = append(out, "the gate is switched off by label for: "+strings.Join(*names, ", "))
				}
				return out
			},
		}, nil
	}
}

// alone makes the webhook where no cluster can be asked: it knows what each review
// says.
func alone(own string, controllers []string) func(*server.Rooms) (*server.Gate, error) {
	return func(rooms *server.Rooms) (*server.Gate, error) {
		return &server.Gate{Webhook: webhook(rooms, admit.Alone{}, own, "", controllers, &announced{})}, nil
	}
}

func webhook(rooms *server.Rooms, cluster admit.Cluster, own, guards string, controllers []string, broken *announced) *admit.Webhook {
	return admit.New(admit.Config{
		Door: rooms.Door, Road: rooms.Release, Cluster: cluster, Store: rooms.Store, Name: rooms.Cluster, Key: rooms.GateKey, Own: own, Guards: guards, Controllers: controllers,
		Reports: func(namespace string) bool {
			mode, err := rooms.Door.Mode(context.Background(), rooms.Cluster, namespace)
			return err == nil && !mode.Enforced // what is not known is enforced
		},
		Announce: broken.add,
		Log:      rooms.Log, Now: rooms.Now,
	})
}

// announced are the broken glasses that people should know of while they last.
type announced struct {
	mu  sync.Mutex
	all []admit.Glass
}

func (a *announced) add(g admit.Glass) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, g)
}

// lasting says which have not ended, and forgets the others.
func (a *announced) lasting(now time.Time) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(g admit.Glass) bool { return !now.Before(g.Until) })
	var out []string
	for _, g := range a.all {
		out = append(out, fmt.Sprintf("the glass is broken for %s %s/%s until %s by %s: %s",
			g.Workload.Kind, g.Namespace, g.Workload.Name, g.Until.UTC().Format(time.RFC3339), g.By, g.Reason))
	}
	return out
}

// nudge tells an owner that waits; when that fails it asks again by itself, later.
func nudge(cluster *kube.Cluster, r gate.Request, log *slog.Logger) {
	if err := cluster.Nudge(context.Background(), r); err != nil {
		log.Warn("an owner could not be told that its image is let in now; it asks again by itself", "error", err)
	}
}
