package install

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The server in the cluster listens on two ports: people and pipelines call the
// one, the API server the other. The Service has the first as 443.
const (
	apiPort     = 8443
	webhookPort = 9443
)

// nobody is the user of the server: any that is not root.
const nobody = int64(65532)

// namespace is the gate's own; it lets nothing in that asks for more than the
// restricted Pod Security Standard allows.
func (o *Options) namespace() *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: o.meta("")}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	n.Name = o.Namespace
	n.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	return n
}

// serverObjects are what runs the server in the cluster.
func (o *Options) serverObjects() ([]runtime.Object, error) {
	claim, err := o.claim()
	if err != nil {
		return nil, err
	}
	all := []runtime.Object{claim, o.service(), o.deployment()}
	if o.NetworkPolicy {
		all = append(all, o.networkPolicy())
	}
	return all, nil
}

func (o *Options) claim() (*corev1.PersistentVolumeClaim, error) {
	size, err := resource.ParseQuantity(o.Storage)
	if err != nil {
		return nil, err
	}
	c := &corev1.PersistentVolumeClaim{ObjectMeta: o.meta(o.Namespace), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
	}}
	c.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	if o.StorageClass != "" {
		c.Spec.StorageClassName = &o.StorageClass
	}
	return c, nil
}

func (o *Options) service() *corev1.Service {
	s := &corev1.Service{ObjectMeta: o.meta(o.Namespace), Spec: corev1.ServiceSpec{
		Selector: labels(), Ports: []corev1.ServicePort{
			{Name: "https", Port: 443, TargetPort: intstr.FromInt32(apiPort), Protocol: corev1.ProtocolTCP},
			{Name: "webhook", Port: webhookPort, TargetPort: intstr.FromInt32(webhookPort), Protocol: corev1.ProtocolTCP},
		},
	}}
	s.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
	return s
}

// deployment runs one server: the store is one file, so an upgrade ends the old
// one first.
func (o *Options) deployment() *appsv1.Deployment {
	one := int32(1)
	d := &appsv1.Deployment{ObjectMeta: o.meta(o.Namespace), Spec: appsv1.DeploymentSpec{
		Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels()},
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels()}, Spec: o.pod()},
	}}
	d.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	return d
}

func (o *Options) pod() corev1.PodSpec {
	yes, no, user := true, false, nobody
	return corev1.PodSpec{
		ServiceAccountName: Name,
		PriorityClassName:  "system-cluster-critical", // others wait for it
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: Name, Image: o.Image, Args: o.serve(),
			Ports: []corev1.ContainerPort{
				{Name: "https", ContainerPort: apiPort, Protocol: corev1.ProtocolTCP},
				{Name: "webhook", ContainerPort: webhookPort, Protocol: corev1.ProtocolTCP},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
			},
			LivenessProbe: probe("/healthz", 30), ReadinessProbe: probe("/readyz", 5),
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "tmp", MountPath: "/tmp"}},
		}},
		Volumes: []corev1.Volume{
			{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: Name}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

// serve is how touchstone is called.
func (o *Options) serve() []string {
	args := []string{
		"serve", "--data", "/data", "--in-cluster", "--namespace", o.Namespace,
		"--listen", fmt.Sprintf(":%d", apiPort), "--webhook-listen", fmt.Sprintf(":%d", webhookPort),
	}
	for _, h := range o.serviceHosts() {
		args = append(args, "--hostname", h)
	}
	if o.Guard {
		args = append(args, "--guard-namespace", GuardNamespace(o.Namespace))
	}
	return append(args, o.Args...)
}

func probe(path string, seconds int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(apiPort), Scheme: corev1.URISchemeHTTPS}},
		PeriodSeconds: seconds, TimeoutSeconds: 5,
	}
}

func (o *Options) networkPolicy() *networkingv1.NetworkPolicy {
	api, webhook, tcp := intstr.FromInt32(apiPort), intstr.FromInt32(webhookPort), corev1.ProtocolTCP
	p := &networkingv1.NetworkPolicy{ObjectMeta: o.meta(o.Namespace), Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: labels()}, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		Ingress: []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Port: &api, Protocol: &tcp}, {Port: &webhook, Protocol: &tcp}}}},
	}}
	p.SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	return p
}
