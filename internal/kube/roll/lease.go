package roll

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"touchstone.dev/touchstone/internal/rehydrate"
)

// LeaseName is that of the Lease (coordination.k8s.io/v1) in the gate's own
// namespace.
const LeaseName = "touchstone-rehydrate"

// Lease says who of several replaces, by an object in the cluster. It may be used
// from one goroutine.
//
// Nobody's clock is compared with another's: a lease has ended when this process has
// seen it unchanged for as long as it lasts, whatever moment stands in it.
type Lease struct {
	Client    kubernetes.Interface
	Namespace string
	Holder    string        // unique: the pod's name, or host and process
	Lasts     time.Duration // a minute when zero
	Now       func() time.Time

	seen  string    // resourceVersion
	since time.Time // when it was first seen so
	until time.Time // to when it is held for sure
}

var _ rehydrate.Lease = (*Lease)(nil)

// Lease returns that of the cluster. Its calls wait for no others.
func (k *Cluster) Lease(namespace, holder string) (*Lease, error) {
	config := rest.CopyConfig(k.c.REST)
	config.UserAgent, config.Timeout = "touchstone-rehydrate", k.c.Patience
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Lease{Client: client, Namespace: namespace, Holder: holder, Now: k.c.Now}, nil
}

func (l *Lease) lasts() time.Duration {
	if l.Lasts <= 0 {
		return time.Minute
	}
	return l.Lasts
}

// Hold implements rehydrate.Lease. While the API server does not answer, a lease is
// held for the rest of what was asked for; nothing can be done meanwhile either.
func (l *Lease) Hold(ctx context.Context) (bool, error) {
	now := l.Now()
	held, err := l.hold(ctx, now)
	switch {
	case err != nil && now.Before(l.until) && l.until.Sub(now) <= l.lasts():
		return true, nil
	case err != nil || !held:
		l.until = time.Time{}
		return false, err
	}
	l.until = now.Add(l.lasts() * 2 / 3) // earlier than others may take it
	return true, nil
}

func (l *Lease) hold(ctx context.Context, now time.Time) (bool, error) {
	leases := l.Client.CoordinationV1().Leases(l.Namespace)
	got, err := leases.Get(ctx, LeaseName, get())
	if apierrors.IsNotFound(err) {
		made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: LeaseName}}
		l.take(made, now)
		got, err = leases.Create(ctx, made, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("making the lease %s/%s: %w", l.Namespace, LeaseName, err)
		}
		l.seen, l.since = got.ResourceVersion, now
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the lease %s/%s: %w", l.Namespace, LeaseName, err)
	}
	if got.ResourceVersion != l.seen || now.Before(l.since) {
		l.seen, l.since = got.ResourceVersion, now
	}
	holder := ""
	if got.Spec.HolderIdentity != nil {
		holder = *got.Spec.HolderIdentity
	}
	lasts := l.lasts()
	if s := got.Spec.LeaseDurationSeconds; s != nil {
		lasts = time.Duration(*s) * time.Second
	}
	if holder != "" && holder != l.Holder && now.Sub(l.since) < lasts {
		return false, nil
	}
	l.take(got, now)
	got, err = leases.Update(ctx, got, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err):
		return false, nil // somebody else was quicker
	case err != nil:
		return false, fmt.Errorf("renewing the lease %s/%s: %w", l.Namespace, LeaseName, err)
	}
	l.seen, l.since = got.ResourceVersion, now
	return true, nil
}

// take writes this holder into the lease.
func (l *Lease) take(o *coordinationv1.Lease, now time.Time) {
	moment, lasts := metav1.NewMicroTime(now), int32(l.lasts()/time.Second)
	if o.Spec.HolderIdentity == nil || *o.Spec.HolderIdentity != l.Holder {
		changes := int32(1)
		if o.Spec.LeaseTransitions != nil {
			changes = *o.Spec.LeaseTransitions + 1
		}
		o.Spec.LeaseTransitions, o.Spec.AcquireTime = &changes, &moment
	}
	holder := l.Holder
	o.Spec.HolderIdentity, o.Spec.LeaseDurationSeconds, o.Spec.RenewTime = &holder, &lasts, &moment
}

// Release implements rehydrate.Lease.
func (l *Lease) Release(ctx context.Context) error {
	if l.until.IsZero() {
		return nil
	}
	l.until = time.Time{}
	leases := l.Client.CoordinationV1().Leases(l.Namespace)
	got, err := leases.Get(ctx, LeaseName, get())
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if got.Spec.HolderIdentity == nil || *got.Spec.HolderIdentity != l.Holder {
		return nil
	}
	got.Spec.HolderIdentity = nil
	_, err = leases.Update(ctx, got, metav1.UpdateOptions{})
	return err
}
