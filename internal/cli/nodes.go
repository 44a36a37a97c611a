package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/report"
	"touchstone.dev/touchstone/internal/server"
)

// nodes are those of a cluster, for the server's guards: what would follow a pod is
// asked of the webhook itself.
type nodes struct {
	*kube.Cluster
	hook *admit.Webhook
	own  []string // namespaces of the gate, where nothing is evicted
}

var _ server.Nodes = (*nodes)(nil)

// Guard implements server.Nodes.
func (n *nodes) Guard(ctx context.Context, token string) (string, error) {
	node, err := n.Cluster.Guard(ctx, token)
	if errors.Is(err, kube.ErrNoGuard) {
		return "", nil
	}
	return node, err
}

// Follow implements server.Nodes.
func (n *nodes) Follow(ctx context.Context, p *gate.Pod) (server.Follower, error) {
	none := func(why string) server.Follower {
		return server.Follower{Verdict: touchstone.Refused, Reasons: []string{why}}
	}
	if slices.Contains(n.own, p.Namespace) {
		return none("the gate and its guards are not taken away by themselves"), nil
	}
	next, why, asked, err := n.Successor(ctx, p)
	switch {
	case err != nil:
		return server.Follower{}, err
	case why != "":
		return none(why), nil
	}
	out := server.Follower{Verdict: touchstone.Allowed, Images: pulled(next.Spec)}
	if !asked {
		return out, nil
	}
	if out.Verdict, out.Reasons, err = n.hook.Follow(ctx, *next); err != nil {
		return server.Follower{}, fmt.Errorf("asking whether it would be let in: %w", err)
	}
	return out, nil
}

// pulled lists what a node would have to pull for a pod, were it a new one.
func pulled(spec *corev1.PodSpec) []string {
	var out []string
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if c.ImagePullPolicy != corev1.PullNever && !slices.Contains(out, c.Image) {
			out = append(out, c.Image)
		}
	}
	return out
}

// Evict implements server.Nodes.
func (n *nodes) Evict(ctx context.Context, p *gate.Pod) (held string, after time.Duration, err error) {
	if slices.Contains(n.own, p.Namespace) {
		return "the gate and its guards are not taken away by themselves", 0, nil
	}
	return n.Cluster.Evict(ctx, p)
}

// Tell implements server.Nodes.
func (n *nodes) Tell(p *gate.Pod, e *touchstone.RuntimeEvent) {
	line := report.RuntimeLine(e)
	if l := e.Login; l != nil {
		switch l.Kind {
		case touchstone.LoginExec, touchstone.LoginAttach, touchstone.LoginDebug:
			if l.Admitted == "" {
				line += "; the cluster's door never saw it"
			}
		}
	}
	n.Cluster.Tell(p, e, line)
}
