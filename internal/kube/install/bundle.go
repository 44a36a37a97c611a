package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The server tells its authority in a ConfigMap of its own namespace.
const (
	authorityMap = "touchstone-authority"
	authorityKey = "ca.pem"
)

// authority is the ConfigMap, without what the server writes there.
func (o *Options) authority() *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: o.meta(o.Namespace)}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	m.Name = authorityMap
	return m
}

// Keeper keeps what the cluster knows of the server's authority.
type Keeper struct {
	Client    kubernetes.Interface
	Namespace string // the gate's own; "touchstone" when empty
	// Bundle returns the authorities in PEM, and a channel that is closed when they
	// change.
	Bundle func() ([]byte, <-chan struct{})
	// Every is how often the cluster is looked at; 10 seconds when zero.
	Every time.Duration
	Log   *slog.Logger // slog.Default when nil
}

// Run writes the bundle into the webhooks and the ConfigMap whenever it is another
// there, until the context ends. What is not installed is left alone.
func (k Keeper) Run(ctx context.Context) error {
	if k.Namespace == "" {
		k.Namespace = Name
	}
	if k.Every == 0 {
		k.Every = 10 * time.Second
	}
	if k.Log == nil {
		k.Log = slog.Default()
	}
	look := time.NewTicker(k.Every)
	defer look.Stop()
	for {
		bundle, changed := k.Bundle()
		if err := k.write(ctx, bundle); err != nil && ctx.Err() == nil {
			k.Log.Error("keeping the webhooks' caBundle", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-look.C:
		}
	}
}

// write makes each object hold the bundle. One that somebody else has changed
// meanwhile is looked at again the next time.
func (k Keeper) write(ctx context.Context, bundle []byte) error {
	return errors.Join(
		settled("the ConfigMap", k.writeMap(ctx, bundle)),
		settled("the mutating webhooks", k.writeMutating(ctx, bundle)),
		settled("the validating webhooks", k.writeValidating(ctx, bundle)))
}

func settled(what string, err error) error {
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (k Keeper) writeMap(ctx context.Context, bundle []byte) error {
	maps := k.Client.CoreV1().ConfigMaps(k.Namespace)
	m, err := maps.Get(ctx, authorityMap, metav1.GetOptions{})
	if err != nil || m.Data[authorityKey] == string(bundle) {
		return err
	}
	m.Data = map[string]string{authorityKey: string(bundle)}
	_, err = maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: Name})
	return err
}

func (k Keeper) writeMutating(ctx context.Context, bundle []byte) error {
	all := k.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := all.Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	same := true
	for i := range c.Webhooks {
		same = same && bytes.Equal(c.Webhooks[i].ClientConfig.CABundle, bundle)
		c.Webhooks[i].ClientConfig.CABundle = bundle
	}
	if same {
		return nil
	}
	_, err = all.Update(ctx, c, metav1.UpdateOptions{FieldManager: Name})
	return err
}

func (k Keeper) writeValidating(ctx context.Context, bundle []byte) error {
	all := k.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	c, err := all.Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	same := true
	for i := range c.Webhooks {
		same = same && bytes.Equal(c.Webhooks[i].ClientConfig.CABundle, bundle)
		c.Webhooks[i].ClientConfig.CABundle = bundle
	}
	if same {
		return nil
	}
	_, err = all.Update(ctx, c, metav1.UpdateOptions{FieldManager: Name})
	return err
}
