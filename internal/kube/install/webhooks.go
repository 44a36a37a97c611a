package install

import (
	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/kube"
	"touchstone.dev/touchstone/internal/kube/admit"
)

// labelName is on every namespace, and is its name; the API server keeps it so.
const labelName = "kubernetes.io/metadata.name"

func (o *Options) mutating() *admission.MutatingWebhookConfiguration {
	c := &admission.MutatingWebhookConfiguration{ObjectMeta: o.meta("")}
	c.SetGroupVersionKind(admission.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"))
	again := admission.IfNeededReinvocationPolicy
	for _, e := range o.entries(admit.PathMutate) {
		c.Webhooks = append(c.Webhooks, admission.MutatingWebhook{
			Name: e.name, ClientConfig: e.client, Rules: pinned(), FailurePolicy: &e.failure, TimeoutSeconds: &e.timeout,
			NamespaceSelector: e.namespaces, MatchPolicy: equivalent(), SideEffects: noneOnDryRun(), AdmissionReviewVersions: []string{"v1"},
			ReinvocationPolicy: &again,
		})
	}
	return c
}

func (o *Options) validating() *admission.ValidatingWebhookConfiguration {
	c := &admission.ValidatingWebhookConfiguration{ObjectMeta: o.meta("")}
	c.SetGroupVersionKind(admission.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"))
	for _, e := range o.entries(admit.PathValidate) {
		c.Webhooks = append(c.Webhooks, admission.ValidatingWebhook{
			Name: e.name, ClientConfig: e.client, Rules: judged(), FailurePolicy: &e.failure, TimeoutSeconds: &e.timeout,
			NamespaceSelector: e.namespaces, MatchPolicy: equivalent(), SideEffects: noneOnDryRun(), AdmissionReviewVersions: []string{"v1"},
		})
	}
	return c
}

// entry is what the two kinds of webhook have in common.
type entry struct {
	name       string
	client     admission.WebhookClientConfig
	failure    admission.FailurePolicyType
	timeout    int32 // seconds
	namespaces *metav1.LabelSelector
}

func (o *Options) entries(path string) []entry {
	path = admit.Path(path, o.Key)
	client := admission.WebhookClientConfig{CABundle: o.CABundle}
	if o.URL != "" {
		url := o.URL + path
		client.URL = &url
	} else {
		port := int32(webhookPort)
		client.Service = &admission.ServiceReference{Namespace: o.Namespace, Name: Name, Path: &path, Port: &port}
	}
	on := metav1.LabelSelectorRequirement{Key: kube.LabelGate, Operator: metav1.LabelSelectorOpNotIn, Values: []string{kube.GateOff}}
	named := func(is metav1.LabelSelectorOperator, names []string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: labelName, Operator: is, Values: names}
	}
	system := []metav1.LabelSelectorRequirement{on, named(metav1.LabelSelectorOpIn, o.lenient())}
	others := []metav1.LabelSelectorRequirement{on, named(metav1.LabelSelectorOpNotIn, o.lenient())}
	if len(o.Namespaces) > 0 {
		others = append(others, named(metav1.LabelSelectorOpIn, o.Namespaces))
	}
	return []entry{
		{"system.touchstone.dev", client, admission.Ignore, 2, &metav1.LabelSelector{MatchExpressions: system}},
		{"all.touchstone.dev", client, admission.Fail, 10, &metav1.LabelSelector{MatchExpressions: others}},
	}
}

// pinned are what is rewritten: pods alone.
func pinned() []admission.RuleWithOperations {
	return []admission.RuleWithOperations{
		rule([]admission.OperationType{admission.Create, admission.Update}, "", "pods"),
		rule([]admission.OperationType{admission.Update}, "", "pods/ephemeralcontainers"),
	}
}

// judged are pods, what makes them, and the ways into them.
func judged() []admission.RuleWithOperations {
	written := []admission.OperationType{admission.Create, admission.Update}
	return append(pinned(),
		rule([]admission.OperationType{admission.Connect}, "", "pods/exec", "pods/attach", "pods/portforward"),
		rule(written, "", "replicationcontrollers"),
		rule(written, "apps", "deployments", "statefulsets", "daemonsets", "replicasets"),
		rule(written, "batch", "jobs", "cronjobs"),
	)
}

func rule(on []admission.OperationType, group string, resources ...string) admission.RuleWithOperations {
	scope := admission.NamespacedScope
	return admission.RuleWithOperations{Operations: on, Rule: admission.Rule{
		APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources, Scope: &scope,
	}}
}

func equivalent() *admission.MatchPolicyType {
	p := admission.Equivalent
	return &p
}

func noneOnDryRun() *admission.SideEffectClass {
	c := admission.SideEffectClassNoneOnDryRun
	return &c
}
