package admit

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// review is an AdmissionReview (admission.k8s.io/v1) as far as it is looked at.
// Only what is judged is decoded: a review holds much more, and most of the time
// at the door goes into reading it.
type review struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Request    request `json:"request"`
}

// request is an AdmissionRequest.
type request struct {
	UID         string                      `json:"uid"`
	Kind        metav1.GroupVersionKind     `json:"kind"`
	Resource    metav1.GroupVersionResource `json:"resource"`
	SubResource string                      `json:"subResource"`
	Name        string                      `json:"name"`
	Namespace   string                      `json:"namespace"`
	Operation   string                      `json:"operation"`
	User        authenticationv1.UserInfo   `json:"userInfo"`
	Object      object                      `json:"object"`
	Old         object                      `json:"oldObject"`
	DryRun      bool                        `json:"dryRun"`
}

// object is anything that a review may be about: a pod, what makes pods
// (core/v1, apps/v1, batch/v1), or the options of a way in (PodExecOptions and
// its like). Fields that a kind has not stay empty.
type object struct {
	Metadata metadata `json:"metadata"`
	Spec     spec     `json:"spec"`

	// Of the options of CONNECT.
	Command   []string `json:"command"`
	Container string   `json:"container"`
	TTY       bool     `json:"tty"`
}

type metadata struct {
	Name         string                  `json:"name"`
	GenerateName string                  `json:"generateName"`
	Labels       map[string]string       `json:"labels"`
	Annotations  map[string]string       `json:"annotations"`
	Owners       []metav1.OwnerReference `json:"ownerReferences"`
}

// spec is a PodSpec, or the part of another kind's spec that holds one.
type spec struct {
	Containers  []container `json:"containers"`
	Init        []container `json:"initContainers"`
	Ephemeral   []container `json:"ephemeralContainers"`
	Volumes     []volume    `json:"volumes"`
	PullSecrets []struct {
		Name string `json:"name"`
	} `json:"imagePullSecrets"`
	ServiceAccount string   `json:"serviceAccountName"`
	HostNetwork    bool     `json:"hostNetwork"`
	HostPID        bool     `json:"hostPID"`
	HostIPC        bool     `json:"hostIPC"`
	Security       security `json:"securityContext"`

	Template    *template `json:"template"`
	JobTemplate *struct {
		Spec struct {
			Template *template `json:"template"`
		} `json:"spec"`
	} `json:"jobTemplate"`
}

// template is a PodTemplateSpec.
type template struct {
	Metadata metadata `json:"metadata"`
	Spec     spec     `json:"spec"`
}

// pod returns the pod that the object is a template of.
func (o *object) pod() *template {
	switch {
	case o.Spec.Template != nil:
		return o.Spec.Template
	case o.Spec.JobTemplate != nil:
		return o.Spec.JobTemplate.Spec.Template
	default:
		return nil
	}
}

type container struct {
	Name     string   `json:"name"`
	Image    string   `json:"image"`
	Command  []string `json:"command"`
	Args     []string `json:"args"`
	Security security `json:"securityContext"`
	Mounts   []struct {
		Name string `json:"name"`
	} `json:"volumeMounts"`
	TTY bool `json:"tty"`
}

// security is a SecurityContext, of a container or of a pod.
type security struct {
	User         *int64 `json:"runAsUser"`
	Group        *int64 `json:"runAsGroup"`
	NotRoot      *bool  `json:"runAsNonRoot"`
	Privileged   bool   `json:"privileged"`
	Capabilities struct {
		Add []string `json:"add"`
	} `json:"capabilities"`
	Windows struct {
		HostProcess *bool `json:"hostProcess"` // as the node's own: what privileged is on Linux
	} `json:"windowsOptions"`
}

type volume struct {
	Name     string `json:"name"`
	HostPath *struct {
		Path string `json:"path"`
	} `json:"hostPath"`
	Image *struct {
		Reference string `json:"reference"`
	} `json:"image"`
}
