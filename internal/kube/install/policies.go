package install

import (
	"fmt"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"touchstone.dev/touchstone/internal/kube"
)

// mayDisable asks the API server's own authoriser about whoever makes the request.
const mayDisable = "authorizer.group('" + kube.Group + "').resource('" + kube.ResourceGates + "').check('disable').allowed()"

// policies are what guards the gate where the gate itself cannot: they are CEL,
// evaluated within the API server (admissionregistration.k8s.io/v1
// ValidatingAdmissionPolicy).
func (o *Options) policies() []runtime.Object {
	update, remove := admission.Update, admission.Delete
	return []runtime.Object{
		o.policy("label", policy{
			// A namespace's status and finalizers carry its labels too.
			rules:   []admission.RuleWithOperations{matched([]admission.OperationType{admission.Create, update}, "", "namespaces", "namespaces/status", "namespaces/finalize")}, //nolint:misspell // its name
			when:    gateLabel("object") + " != (request.operation == 'CREATE' ? '' : " + gateLabel("oldObject") + ")",
			must:    mayDisable,
			message: "the label " + kube.LabelGate + " switches the gate off: only who may \"disable\" \"gates\" in the group " + kube.Group + " sets it or takes it away",
		}),
		o.binding("label"),
		o.policy("webhooks", policy{
			rules:   []admission.RuleWithOperations{matched([]admission.OperationType{update, remove}, "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingwebhookconfigurations")},
			when:    "oldObject.metadata.name == '" + Name + "'",
			must:    mayDisable + " || (request.operation == 'UPDATE' && " + o.isServer() + " && " + sameButBundle() + ")",
			message: "these webhooks are the gate: only who may \"disable\" \"gates\" in the group " + kube.Group + " changes them",
		}),
		o.binding("webhooks"),
		o.policy("nudge", policy{
			rules: []admission.RuleWithOperations{
				matched([]admission.OperationType{update}, "", "replicationcontrollers"),
				matched([]admission.OperationType{update}, "apps", "deployments", "statefulsets", "daemonsets", "replicasets"),
				matched([]admission.OperationType{update}, "batch", "jobs", "cronjobs"),
			},
			when: o.isServer(),
			must: o.nudges() + " && object.metadata.?labels == oldObject.metadata.?labels && " +
				"object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences",
			message: "the gate only annotates what makes pods, and replaces the pods where it was installed to",
		}),
		o.binding("nudge"),
	}
}

// nudges is true where the server's update changes nothing that makes pods, but for
// what rehydration does where it is installed.
func (o *Options) nudges() string {
	const same = "object.spec == oldObject.spec"
	if !o.Rehydrate {
		return same
	}
	return "(" + same + " || " + replaced() + ")"
}

func gateLabel(of string) string {
	return of + ".metadata.?labels['" + kube.LabelGate + "'].orValue('')"
}

// isServer is true for the server's own requests.
func (o *Options) isServer() string {
	return "request.userInfo.username == 'system:serviceaccount:" + o.Namespace + ":" + Name + "'"
}

// sameButBundle is true where an update of webhooks changes their caBundle, and their
// paths at the server, at most.
func sameButBundle() string {
	var same []string
	for _, field := range []string{
		"name", "rules", "failurePolicy", "timeoutSeconds", "namespaceSelector", "?objectSelector", "matchPolicy", "sideEffects",
		"admissionReviewVersions", "?reinvocationPolicy", "?matchConditions", "clientConfig.?url", "clientConfig.?service.?namespace",
		"clientConfig.?service.?name", "clientConfig.?service.?port",
	} {
		same = append(same, "new."+field+" == old."+field)
	}
	return "object.webhooks.size() == oldObject.webhooks.size() && object.webhooks.all(new, oldObject.webhooks.exists(old, " + strings.Join(same, " && ") + "))"
}

// policy is one, without what all of them have.
type policy struct {
	rules      []admission.RuleWithOperations
	when, must string // CEL
	message    string
}

func (o *Options) policy(name string, p policy) *admission.ValidatingAdmissionPolicy {
	out := &admission.ValidatingAdmissionPolicy{ObjectMeta: o.meta("")}
	out.SetGroupVersionKind(admission.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy"))
	out.Name = policyName(name)
	fail, reason := admission.Fail, metav1.StatusReasonForbidden
	out.Spec = admission.ValidatingAdmissionPolicySpec{
		FailurePolicy:    &fail,
		MatchConstraints: &admission.MatchResources{MatchPolicy: equivalent()},
		MatchConditions:  []admission.MatchCondition{{Name: name, Expression: p.when}},
		Validations:      []admission.Validation{{Expression: p.must, Message: p.message, Reason: &reason}},
	}
	for _, r := range p.rules {
		out.Spec.MatchConstraints.ResourceRules = append(out.Spec.MatchConstraints.ResourceRules, admission.NamedRuleWithOperations{RuleWithOperations: r})
	}
	return out
}

func (o *Options) binding(name string) *admission.ValidatingAdmissionPolicyBinding {
	out := &admission.ValidatingAdmissionPolicyBinding{ObjectMeta: o.meta("")}
	out.SetGroupVersionKind(admission.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicyBinding"))
	out.Name = policyName(name)
	out.Spec = admission.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: out.Name, ValidationActions: []admission.ValidationAction{admission.Deny},
	}
	return out
}

func policyName(name string) string { return fmt.Sprintf("%s-%s", Name, name) }

// matched is rule for objects of any scope.
func matched(on []admission.OperationType, group string, resources ...string) admission.RuleWithOperations {
	r := rule(on, group, resources...)
	r.Scope = nil
	return r
}
