package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// LabelGate on a namespace, with the value GateOff, takes the namespace out of the
// webhooks' reach: for a gate that is dead.
const (
	LabelGate = "touchstone.dev/gate"
	GateOff   = "off"
)

// Runs returns the digest at which the workload's container runs now: that of the
// oldest pod that tells it.
func (k *Cluster) Runs(namespace string, w touchstone.Workload) touchstone.Digest {
	var oldest *pod
	var digest touchstone.Digest
	for _, p := range k.podsOf(namespace, w.Kind, w.Name) {
		for i := range p.containers {
			c := &p.containers[i]
			if c.name == w.Container && c.digest != "" && (oldest == nil || p.CreationTimestamp.Before(&oldest.CreationTimestamp)) {
				oldest, digest = p, c.digest
			}
		}
	}
	return digest
}

// podsOf returns the pods of a workload, by memory.
func (k *Cluster) podsOf(namespace, kind, name string) []*pod {
	if kind == "Pod" {
		if found, ok, _ := k.pods.GetStore().GetByKey(namespace + "/" + name); ok {
			return []*pod{found.(*pod)}
		}
		return nil
	}
	keys := []string{keeperKey(namespace, kind, name)}
	for _, m := range makers() {
		if !m.up {
			continue
		}
		between, _ := k.makers[m.kind].GetIndexer().ByIndex(indexKeeper, keys[0]) // the index is there
		for _, o := range between {
			keys = append(keys, keeperKey(namespace, m.kind, o.(*metav1.PartialObjectMetadata).Name))
		}
	}
	var out []*pod
	for _, key := range keys {
		kept, _ := k.pods.GetIndexer().ByIndex(indexKeeper, key)
		for _, o := range kept {
			out = append(out, o.(*pod))
		}
	}
	return out
}

// Run keeps the cluster in memory and tells the door what runs: when it is first
// known, when it changes, and every minute. It returns when the context ends.
func (k *Cluster) Run(ctx context.Context, door Door) error {
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // is to be told already
		}
	}
	if err := k.watch(tell); err != nil {
		return err
	}
	defer k.speak(ctx)()
	var synced []cache.InformerSynced
	for _, i := range k.all() {
		go i.RunWithContext(ctx)
		synced = append(synced, i.HasSynced)
	}
	// What is not in the list counts as gone: it must be whole before it is told.
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return ctx.Err()
	}
	k.nodes.all()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	var off []string
	for {
		if now := k.gateOff(); !slices.Equal(now, off) {
			off = now
			if k.c.GateOff != nil {
				k.c.GateOff(now)
			}
		}
		if err := k.observe(ctx, door); err != nil && ctx.Err() == nil {
			k.c.Log.Error("telling the gate what runs", "cluster", k.c.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-minute.C:
		case <-changed:
			select { // what changes within a moment is told at once
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(k.c.Settle):
			}
		}
	}
}

// watch calls tell whenever what Running returns may have changed.
func (k *Cluster) watch(tell func()) error {
	_, err := k.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { k.changed(o); tell() },
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			k.changed(o)
			tell()
		},
		UpdateFunc: func(old, now any) {
			if !old.(*pod).same(now.(*pod)) {
				k.changed(old)
				k.changed(now)
				tell()
			}
		},
	})
	if err != nil {
		return err
	}
	all := func() { k.nodes.all(); tell() }
	_, err = k.namespaces.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { all() }, DeleteFunc: func(any) { all() }, UpdateFunc: func(any, any) { all() },
	})
	return err
}

func (k *Cluster) observe(ctx context.Context, door Door) error {
	all, err := k.Running(ctx)
	if err != nil {
		return err
	}
	return door.Observe(ctx, k.c.Name, all)
}

// Running returns every container that runs, by memory, in the order of namespace,
// pod and container.
func (k *Cluster) Running(ctx context.Context) ([]gate.Running, error) {
	book, err := k.c.Road.Book(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the rules that say what a place is: %w", err)
	}
	var out []gate.Running
	for _, o := range k.pods.GetStore().List() {
		p := o.(*pod)
		if len(p.containers) == 0 {
			continue
		}
		place := k.place(book, p)
		kind, name := k.keeper(p)
		for i := range p.containers {
			c := &p.containers[i]
			out = append(out, gate.Running{
				Place: place, Workload: touchstone.Workload{Kind: kind, Name: name, Container: c.name},
				Reference: c.reference, Digest: c.digest, Pod: p.Name, PodUID: p.uid(), ID: c.id, Since: c.since, Static: p.static,
				Credential: p.credential, Settings: c.settings,
			})
		}
	}
	slices.SortFunc(out, func(a, b gate.Running) int {
		return cmp.Or(cmp.Compare(a.Place.Namespace, b.Place.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Workload.Container, b.Workload.Container))
	})
	return out, nil
}

// place is where a pod runs: what the namespace says, made stricter by what the pod
// says of itself.
func (k *Cluster) place(book *gate.Book, p *pod) touchstone.Place {
	return book.Rules.Stricter(book.Rules.PlaceOf(k.c.Name, p.Namespace, p.node, k.labelsOf(p.Namespace)), p.Labels)
}

// labelsOf returns a namespace's labels, by memory.
func (k *Cluster) labelsOf(namespace string) map[string]string {
	if found, ok, _ := k.namespaces.GetStore().GetByKey(namespace); ok {
		return found.(*metav1.PartialObjectMetadata).Labels
	}
	return nil
}

// gateOff lists the namespaces that the gate is switched off for, in order.
func (k *Cluster) gateOff() []string {
	off := map[string]bool{}
	for _, o := range k.namespaces.GetStore().List() {
		if n := o.(*metav1.PartialObjectMetadata); n.Labels[LabelGate] == GateOff {
			off[n.Name] = true
		}
	}
	return sorted(off)
}
