package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/kube/admit"
)

// The server tells its authority in a ConfigMap of its own namespace, and the key of
// the webhooks' paths in a Secret.
const (
	authorityMap = "touchstone-authority"
	authorityKey = "ca.pem"
	pathSecret   = "touchstone-webhook" //nolint:gosec // the name of one
	pathKey      = "key"
)

// path is the Secret, without what the server writes there.
func (o *Options) path() *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: o.meta(o.Namespace)}
	s.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	s.Name = pathSecret
	return s
}

// authority is the ConfigMap, without what the server writes there.
func (o *Options) authority() *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: o.meta(o.Namespace)}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	m.Name = authorityMap
	return m
}

// Keeper keeps what the cluster knows of the server: its authority, and the key of
// the paths at which it is asked.
type Keeper struct {
	Client    kubernetes.Interface
	Namespace string // the gate's own; "touchstone" when empty
	Guards    string // that of its guards, who are told the authority too; empty for none
	Key       string // at the end of the webhooks' paths, where a Service is called
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
			k.Log.Warn("the webhooks cannot be told the server's authority and key; are they installed, and its rights? touchstone admit install", "error", err)
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
	var guards error
	if k.Guards != "" {
		guards = settled("the ConfigMap of the guards", k.writeMap(ctx, k.Guards, bundle))
	}
	return errors.Join(
		settled("the ConfigMap", k.writeMap(ctx, k.Namespace, bundle)), guards,
		settled("the Secret", k.writeSecret(ctx)),
		settled("the mutating webhooks", k.writeMutating(ctx, bundle)),
		settled("the validating webhooks", k.writeValidating(ctx, bundle)))
}

func settled(what string, err error) error {
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (k Keeper) writeMap(ctx context.Context, namespace string, bundle []byte) error {
	maps := k.Client.CoreV1().ConfigMaps(namespace)
	m, err := maps.Get(ctx, authorityMap, metav1.GetOptions{})
	if err != nil || m.Data[authorityKey] == string(bundle) {
		return err
	}
	m.Data = map[string]string{authorityKey: string(bundle)}
	_, err = maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: Name})
	return err
}

func (k Keeper) writeSecret(ctx context.Context) error {
	secrets := k.Client.CoreV1().Secrets(k.Namespace)
	s, err := secrets.Get(ctx, pathSecret, metav1.GetOptions{})
	if err != nil || string(s.Data[pathKey]) == k.Key {
		return err
	}
	s.Data = map[string][]byte{pathKey: []byte(k.Key)}
	_, err = secrets.Update(ctx, s, metav1.UpdateOptions{FieldManager: Name})
	return err
}

// right makes the client's settings what they are to be, and reports whether they
// were.
func (k Keeper) right(c *admission.WebhookClientConfig, path string, bundle []byte) bool {
	same := bytes.Equal(c.CABundle, bundle)
	c.CABundle = bundle
	if path = admit.Path(path, k.Key); c.Service != nil && (c.Service.Path == nil || *c.Service.Path != path) {
		c.Service.Path, same = &path, false
	}
	return same
}

func (k Keeper) writeMutating(ctx context.Context, bundle []byte) error {
	all := k.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := all.Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	same := true
	for i := range c.Webhooks {
		same = k.right(&c.Webhooks[i].ClientConfig, admit.PathMutate, bundle) && same
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
		same = k.right(&c.Webhooks[i].ClientConfig, admit.PathValidate, bundle) && same
	}
	if same {
		return nil
	}
	_, err = all.Update(ctx, c, metav1.UpdateOptions{FieldManager: Name})
	return err
}
