package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// manager is whose the applied fields are (server-side apply).
const manager = "touchstone-install"

// Manifests returns all that is installed, in the order in which it is applied: the
// webhooks last, when what they call is there.
func Manifests(o Options) ([]runtime.Object, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	all := append([]runtime.Object{o.namespace(), o.authority(), o.path()}, o.permissions()...)
	if o.Image != "" {
		server, err := o.serverObjects()
		if err != nil {
			return nil, err
		}
		all = append(all, server...)
	}
	if o.Guard {
		all = append(all, o.guardObjects()...)
	}
	if o.Rehydrate {
		all = append(all, o.rehydrateObjects()...)
	}
	all = append(all, o.policies()...)
	return append(all, o.mutating(), o.validating()), nil
}

// WriteYAML writes the objects as kubectl reads them.
func WriteYAML(w io.Writer, all []runtime.Object) error {
	for _, object := range all {
		u, err := plain(object)
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}

// plain returns an object without what the API server says of it.
func plain(object runtime.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	return u, nil
}

// resources maps the kinds that are installed to their names in the API.
func resources() map[string]schema.GroupVersionResource {
	resource := func(group, name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}
	}
	const rbac, admission = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
	return map[string]schema.GroupVersionResource{
		"Namespace": resource("", "namespaces"), "ConfigMap": resource("", "configmaps"), "Secret": resource("", "secrets"), "ServiceAccount": resource("", "serviceaccounts"),
		"PersistentVolumeClaim": resource("", "persistentvolumeclaims"), "Service": resource("", "services"),
		"Deployment": resource("apps", "deployments"), "DaemonSet": resource("apps", "daemonsets"), "NetworkPolicy": resource("networking.k8s.io", "networkpolicies"),
		"ClusterRole": resource(rbac, "clusterroles"), "ClusterRoleBinding": resource(rbac, "clusterrolebindings"),
		"Role": resource(rbac, "roles"), "RoleBinding": resource(rbac, "rolebindings"),
		"ValidatingAdmissionPolicy":        resource(admission, "validatingadmissionpolicies"),
		"ValidatingAdmissionPolicyBinding": resource(admission, "validatingadmissionpolicybindings"),
		"MutatingWebhookConfiguration":     resource(admission, "mutatingwebhookconfigurations"),
		"ValidatingWebhookConfiguration":   resource(admission, "validatingwebhookconfigurations"),
	}
}

// Apply installs the gate, or brings an installation up to the options. With an
// Image it waits until the server is ready before the webhooks are applied, so that
// no pod is refused for want of it; the context bounds the wait.
func Apply(ctx context.Context, config *rest.Config, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	if o.Image == "" && len(o.CABundle) == 0 {
		return errors.New("the authority that signs the certificate of a server outside the cluster is needed")
	}
	objects, err := Manifests(o)
	if err != nil {
		return err
	}
	last := len(objects) - 2
	if err := ApplyObjects(ctx, config, objects[:last]); err != nil {
		return err
	}
	if o.Image != "" {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		if err := awaitServer(ctx, client, &o); err != nil {
			return err
		}
	}
	return ApplyObjects(ctx, config, []runtime.Object{o.mutating(), o.validating()})
}

// ApplyObjects applies objects as Apply does, in their order.
func ApplyObjects(ctx context.Context, config *rest.Config, objects []runtime.Object) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, object := range objects {
		u, err := plain(object)
		if err != nil {
			return err
		}
		to := client.Resource(resources()[u.GetKind()]).Namespace(u.GetNamespace())
		if _, err := to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			return fmt.Errorf("applying the %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}

// awaitServer waits until the server is ready and has told its authority and its key.
func awaitServer(ctx context.Context, client kubernetes.Interface, o *Options) error {
	for {
		missing, err := serverMissing(ctx, client, o)
		if missing == "" && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				missing = err.Error()
			}
			return fmt.Errorf("waiting for the server in the namespace %s: %s\nhint: the webhooks are not installed yet, so nothing is refused; look at its pod, then install again", o.Namespace, missing)
		case <-time.After(time.Second):
		}
	}
}

// serverMissing says what the server still lacks; empty when it lacks nothing, and
// the options then hold its authority and its key.
func serverMissing(ctx context.Context, client kubernetes.Interface, o *Options) (string, error) {
	d, err := client.AppsV1().Deployments(o.Namespace).Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	current := d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas > 0
	if available := func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionTrue
	}; !current || !slices.ContainsFunc(d.Status.Conditions, available) {
		return "it is not ready", nil
	}
	m, err := client.CoreV1().ConfigMaps(o.Namespace).Get(ctx, authorityMap, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if m.Data[authorityKey] == "" {
		return "it has not told what its certificate is signed by", nil
	}
	key, err := client.CoreV1().Secrets(o.Namespace).Get(ctx, pathSecret, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if len(key.Data[pathKey]) == 0 {
		return "it has not told the key of its webhooks", nil
	}
	o.CABundle, o.Key = []byte(m.Data[authorityKey]), string(key.Data[pathKey])
	return "", nil
}

// Remove takes the gate out: the webhooks first. The data stay, and the namespace
// that they are in.
func Remove(ctx context.Context, config *rest.Config, o Options) error {
	o.Rehydrate, o.RehydrateNodes = true, true
	o.Image, o.URL, o.NetworkPolicy, o.NoPullSecrets, o.Guard = Name, "", true, false, true // all that any options install
	objects, err := Manifests(o)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, object := range slices.Backward(objects) {
		u, err := plain(object)
		if err != nil {
			return err
		}
		if kind := u.GetKind(); kind == "Namespace" || kind == "PersistentVolumeClaim" {
			continue
		}
		err = client.Resource(resources()[u.GetKind()]).Namespace(u.GetNamespace()).Delete(ctx, u.GetName(), metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing the %s %s: %w", u.GetKind(), u.GetName(), err)
		}
	}
	return nil
}
