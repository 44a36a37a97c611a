package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"k8s.io/client-go/tools/cache"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// ErrNotYet says that the cluster's pods are not in memory yet.
var ErrNotYet = errors.New("the cluster's pods are not known yet")

// indexNode finds pods by the node that they are bound to.
const indexNode = "node"

func byNode() cache.Indexers {
	return cache.Indexers{indexNode: func(o any) ([]string, error) {
		p, ok := o.(*pod)
		if !ok {
			return nil, fmt.Errorf("%T is no pod", o)
		}
		if p.node == "" {
			return nil, nil
		}
		return []string{p.node}, nil
	}}
}

// nodes tells those who wait for it that something on a node has changed.
type nodes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // closed at the next change
}

// next returns what is closed at the next change on the node.
func (n *nodes) next(node string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = map[string]chan struct{}{}
	}
	if n.waiting[node] == nil {
		n.waiting[node] = make(chan struct{})
	}
	return n.waiting[node]
}

func (n *nodes) changed(node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ch := n.waiting[node]; ch != nil {
		close(ch)
		delete(n.waiting, node)
	}
}

// all tells everybody.
func (n *nodes) all() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for node, ch := range n.waiting {
		close(ch)
		delete(n.waiting, node)
	}
}

// changed tells who waits for the pod's node.
func (k *Cluster) changed(o any) {
	if p, ok := o.(*pod); ok && p.node != "" {
		k.nodes.changed(p.node)
	}
}

// Pods returns the pods that are bound to a node and have not ended, by memory, in
// the order of namespace and name; and what is closed when they may have changed. The
// error is ErrNotYet until Run knows them.
func (k *Cluster) Pods(ctx context.Context, node string) ([]gate.Pod, <-chan struct{}, error) {
	changed := k.nodes.next(node)
	if !k.pods.HasSynced() || !k.namespaces.HasSynced() {
		return nil, changed, ErrNotYet
	}
	book, err := k.c.Road.Book(ctx)
	if err != nil {
		return nil, changed, fmt.Errorf("reading the rules that say what a place is: %w", err)
	}
	found, err := k.pods.GetIndexer().ByIndex(indexNode, node)
	if err != nil {
		return nil, changed, err
	}
	out := make([]gate.Pod, 0, len(found))
	for _, o := range found {
		out = append(out, k.podOf(book, o.(*pod)))
	}
	slices.SortFunc(out, func(a, b gate.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out, changed, nil
}

func (k *Cluster) podOf(book *gate.Book, p *pod) gate.Pod {
	kind, name := k.keeper(p)
	out := gate.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: p.uid(), Workload: touchstone.Workload{Kind: kind, Name: name},
		Place: k.place(book, p), Created: p.CreationTimestamp.UTC(), Static: p.static, Containers: slices.Clone(p.declared), Credential: p.credential,
	}
	for i := range out.Containers {
		c := &out.Containers[i]
		if at := slices.IndexFunc(p.containers, func(r container) bool { return r.name == c.Name }); at >= 0 {
			c.Digest = p.containers[at].digest
		}
	}
	return out
}

// uid is what the node's runtime calls the pod by. What a node shows of a pod that it
// runs by itself has a UID of its own, and the pod's in this annotation.
func (p *pod) uid() string {
	if p.static && p.mirrored != "" {
		return p.mirrored
	}
	return string(p.UID)
}
