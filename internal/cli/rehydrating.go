package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/kube/roll"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// What a server does about age.
const (
	rehydrateOff  = "off"
	rehydratePlan = "plan" // plans, measures and asks, and does nothing
	rehydrateOn   = "on"
)

// rehydrating are the flags of replacing what is old.
type rehydrating struct {
	mode     string
	nodeHook string
}

// hookOf is a command, or an address.
func hookOf(text string) *rehydrate.Hook {
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://"):
		return &rehydrate.Hook{URL: text}
	default:
		return &rehydrate.Hook{Command: strings.Fields(text)}
	}
}

func (r *rehydrating) check() error {
	switch r.mode {
	case rehydrateOff, rehydratePlan, rehydrateOn:
		return nil
	}
	return fmt.Errorf("--rehydrate %s\nhint: off, plan or on", r.mode)
}

// rooms are what rehydration in a cluster works with.
type rehydrationRooms struct {
	config  *rest.Config
	name    string // of the cluster
	own     string // the gate's namespace
	store   record.Store
	door    *gate.Door
	road    roll.Road
	cluster *kube.Cluster
	hook    *admit.Webhook
	log     *slog.Logger
	now     func() time.Time
}

// inCluster makes the controller for a cluster, and what keeps that in memory.
func (r *rehydrating) inCluster(rooms rehydrationRooms) (*roll.Cluster, func(context.Context) *rehydrate.Controller, error) {
	c := roll.Config{REST: rooms.config, Name: rooms.name, Road: rooms.road, Found: rooms.door, Own: []string{rooms.own}, Log: rooms.log, Now: rooms.now}
	if hook := hookOf(r.nodeHook); hook != nil {
		c.Nodes = hook
	}
	runs, err := roll.New(c)
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	lease, err := runs.Lease(rooms.own, holder())
	if err != nil {
		return nil, nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	return runs, func(ctx context.Context) *rehydrate.Controller {
		return rehydrate.New(rehydrate.Config{
			Store: rooms.store, Runs: runs, Hands: runs.Hands(), Cluster: rooms.name, DryRun: r.mode == rehydratePlan, Log: rooms.log, Now: rooms.now,
			Gate:  &roll.Door{Cluster: rooms.cluster, Hook: rooms.hook, Resolve: rooms.door.Resolve, Roll: runs},
			Lease: lease,
			Tell:  runs.Teller(ctx),
		})
	}, nil
}

// holder names this process, as no other is named.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "nobody"
	}
	return host + "/" + strconv.Itoa(os.Getpid()) + "/" + record.NewID(time.Now())
}

// together runs all until one fails or the context ends.
func together(ctx context.Context, all ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range all {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}
