package install

import (
	"fmt"
	"strings"

	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone/internal/kube/roll"
)

// rehydrateObjects let the server replace what is old; without them it may not. The
// policy "nudge" bounds what its patches may change.
func (o *Options) rehydrateObjects() []runtime.Object {
	all := []runtime.Object{o.clusterRole("-rehydrate", o.rehydrateRules()), o.clusterBinding("-rehydrate")}
	lease := allow("coordination.k8s.io", []string{"leases"}, "get", "update")
	lease.ResourceNames = []string{roll.LeaseName}
	r := &rbac.Role{ObjectMeta: o.meta(o.Namespace), Rules: []rbac.PolicyRule{lease, allow("coordination.k8s.io", []string{"leases"}, "create")}}
	r.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("Role"))
	r.Name += "-rehydrate"
	b := o.roleBinding()
	b.Name, b.RoleRef.Name = r.Name, r.Name
	return append(all, r, b)
}

// rehydrateRules are what it needs in the cluster, beside serverRules.
func (o *Options) rehydrateRules() []rbac.PolicyRule {
	rules := []rbac.PolicyRule{
		allow("", []string{"services"}, "list", "watch"),
		allow("policy", []string{"poddisruptionbudgets"}, "list", "watch"),
		allow("", []string{"pods/eviction"}, "create"),
		allow("", []string{"pods"}, "delete"), // past the deadline, and what a StatefulSet's rollback leaves
		allow("", []string{"events"}, "create", "patch"),
	}
	if o.RehydrateNodes {
		rules = append(rules, allow("", []string{"nodes"}, "get", "list", "watch", "patch"))
	}
	return rules
}

// replaced is true where an update of what makes pods changes no more than
// rehydration does: annotations of its own on the template, or its replicas to none.
func replaced() string {
	ours := func(key string) string {
		return key + " in ['" + roll.AnnotationReplacedAt + "', '" + roll.AnnotationReplacement + "']"
	}
	const now, before = "object.spec.template.metadata.?annotations.orValue({})", "oldObject.spec.template.metadata.?annotations.orValue({})"
	all := []string{"has(object.spec.template)", "has(oldObject.spec.template)"}
	for _, field := range []string{
		"?selector", "?strategy", "?updateStrategy", "?minReadySeconds", "?revisionHistoryLimit", "?paused", "?progressDeadlineSeconds", "?serviceName",
		"?volumeClaimTemplates", "?podManagementPolicy", "?persistentVolumeClaimRetentionPolicy", "?ordinals", "template.spec", "template.metadata.?labels",
		"?parallelism", "?completions", "?backoffLimit", "?suspend",
	} {
		all = append(all, fmt.Sprintf("object.spec.%[1]s == oldObject.spec.%[1]s", field))
	}
	all = append(all,
		fmt.Sprintf("%s.all(k, %s || k in %s && %s[k] == %s[k])", now, ours("k"), before, before, now),
		fmt.Sprintf("%s.all(k, %s || k in %s)", before, ours("k"), now),
		"(object.spec.?replicas == oldObject.spec.?replicas || object.spec.?replicas.orValue(1) == 0)")
	return "(" + strings.Join(all, " && ") + ")"
}
