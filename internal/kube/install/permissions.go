package install

import (
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone/internal/kube"
)

// permissions are the server's account with what it may do, and roles for people,
// which nobody has until they are bound.
func (o *Options) permissions() []runtime.Object {
	account := &corev1.ServiceAccount{ObjectMeta: o.meta(o.Namespace)}
	account.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	all := []runtime.Object{
		account,
		o.clusterRole("", serverRules()), o.clusterBinding(""),
		o.role(), o.roleBinding(),
		o.clusterRole("-break-glass", []rbac.PolicyRule{allow(kube.Group, []string{kube.ResourceGlass}, "break")}),
		o.clusterRole("-disable-gate", []rbac.PolicyRule{allow(kube.Group, []string{kube.ResourceGates}, "disable")}),
	}
	if !o.NoPullSecrets {
		all = append(all, o.clusterRole("-pull-secrets", []rbac.PolicyRule{allow("", []string{"secrets"}, "get")}), o.clusterBinding("-pull-secrets"))
	}
	return all
}

// serverRules are what the server needs everywhere. The policy "nudge" bounds what
// its patches may change.
func serverRules() []rbac.PolicyRule {
	webhooks := allow("admissionregistration.k8s.io", []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}, "get", "update")
	webhooks.ResourceNames = []string{Name}
	return []rbac.PolicyRule{
		allow("", []string{"namespaces", "pods"}, "get", "list", "watch"),
		allow("", []string{"nodes"}, "list"),
		allow("", []string{"serviceaccounts"}, "get"),
		allow("", []string{"replicationcontrollers"}, "get", "list", "watch", "patch"),
		allow("apps", []string{"deployments", "statefulsets", "daemonsets", "replicasets"}, "get", "list", "watch", "patch"),
		allow("batch", []string{"jobs", "cronjobs"}, "get", "list", "watch", "patch"),
		allow("authorization.k8s.io", []string{"subjectaccessreviews"}, "create"),
		webhooks,
	}
}

func allow(group string, resources []string, verbs ...string) rbac.PolicyRule {
	return rbac.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

func (o *Options) clusterRole(suffix string, rules []rbac.PolicyRule) *rbac.ClusterRole {
	r := &rbac.ClusterRole{ObjectMeta: o.meta(""), Rules: rules}
	r.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("ClusterRole"))
	r.Name += suffix
	return r
}

func (o *Options) clusterBinding(suffix string) *rbac.ClusterRoleBinding {
	b := &rbac.ClusterRoleBinding{
		ObjectMeta: o.meta(""), Subjects: o.server(),
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: Name + suffix},
	}
	b.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("ClusterRoleBinding"))
	b.Name += suffix
	return b
}

// role lets the server tell its authority and its key to who installs it.
func (o *Options) role() *rbac.Role {
	authority, key := allow("", []string{"configmaps"}, "get", "update"), allow("", []string{"secrets"}, "get", "update")
	authority.ResourceNames, key.ResourceNames = []string{authorityMap}, []string{pathSecret}
	r := &rbac.Role{ObjectMeta: o.meta(o.Namespace), Rules: []rbac.PolicyRule{authority, key}}
	r.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("Role"))
	return r
}

func (o *Options) roleBinding() *rbac.RoleBinding {
	b := &rbac.RoleBinding{
		ObjectMeta: o.meta(o.Namespace), Subjects: o.server(),
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: Name},
	}
	b.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("RoleBinding"))
	return b
}

func (o *Options) server() []rbac.Subject {
	return []rbac.Subject{{Kind: rbac.ServiceAccountKind, Namespace: o.Namespace, Name: Name}}
}

// meta names an object of the installation.
func (o *Options) meta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: Name, Labels: labels()}
}

func labels() map[string]string { return map[string]string{"app.kubernetes.io/name": Name} }
