package install

import (
	"fmt"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"touchstone.dev/touchstone/internal/kube"
)

// guardName is that of everything of the guards.
const guardName = Name + "-guard"

// GuardNamespace is where the guards of a gate run, by the gate's own namespace.
// Theirs is another, because the restricted Pod Security Standard holds in that.
func GuardNamespace(own string) string { return own + "-guard" }

// GuardAccount is the service account of the guards in a namespace, as the API server
// names it; empty for no namespace.
func GuardAccount(namespace string) string {
	if namespace == "" {
		return ""
	}
	return "system:serviceaccount:" + namespace + ":" + guardName
}

// Where a guard finds its things, in its own container.
const (
	guardData      = "/var/lib/touchstone"
	guardRun       = "/run/touchstone"
	guardToken     = "/var/run/touchstone/token"
	guardAuthority = "/etc/touchstone/" + authorityKey
	hostRoot       = "/proc/1/root"
	// guardLife is how long the guard's token holds, in seconds; a kubelet puts
	// another in its place when four fifths of that are over.
	guardLife = int64(3600)
	// guardMetrics is the port at which Prometheus asks a guard.
	guardMetrics = 9477
)

// guardObjects are what runs a guard on each node. Its account has no right in the
// cluster at all: its token is for the server alone (kube.Audience).
func (o *Options) guardObjects() []runtime.Object {
	n := &corev1.Namespace{ObjectMeta: o.guardMeta("")}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	n.Name = GuardNamespace(o.Namespace)
	n.Labels["pod-security.kubernetes.io/enforce"] = "privileged"

	no := false
	account := &corev1.ServiceAccount{ObjectMeta: o.guardMeta(n.Name), AutomountServiceAccountToken: &no}
	account.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))

	authority := o.authority()
	authority.Namespace, authority.Labels = n.Name, guardLabels()

	// The server tells its authority to the guards too.
	may := allow("", []string{"configmaps"}, "get", "update")
	may.ResourceNames = []string{authorityMap}
	r := &rbac.Role{ObjectMeta: o.guardMeta(n.Name), Rules: []rbac.PolicyRule{may}}
	r.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("Role"))
	b := &rbac.RoleBinding{
		ObjectMeta: o.guardMeta(n.Name), Subjects: o.server(),
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: guardName},
	}
	b.SetGroupVersionKind(rbac.SchemeGroupVersion.WithKind("RoleBinding"))
	return []runtime.Object{
		n, account, authority, r, b, o.clusterRole("-guards", guardRules()), o.clusterBinding("-guards"), o.daemonSet(n.Name),
	}
}

// guardRules are what the server needs to serve guards: it asks whose token it is
// called with, evicts, and shows what was seen.
func guardRules() []rbac.PolicyRule {
	return []rbac.PolicyRule{
		allow("authentication.k8s.io", []string{"tokenreviews"}, "create"),
		allow("", []string{"pods/eviction"}, "create"),
		allow("", []string{"events"}, "create", "patch"),
	}
}

func (o *Options) daemonSet(namespace string) *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{ObjectMeta: o.guardMeta(namespace), Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: guardLabels()},
		// The old guard ends before the new one begins: both would answer for the same
		// programs. What is pinned in the kernel holds in between.
		UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
			Type:          appsv1.RollingUpdateDaemonSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromString("10%"))},
		},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: guardLabels()}, Spec: o.guardPod()},
	}}
	d.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("DaemonSet"))
	return d
}

// guardCapabilities are all that a guard has, of those that root has.
func guardCapabilities() []corev1.Capability {
	return []corev1.Capability{
		"SYS_ADMIN",       // marks of fanotify on file systems and mount namespaces; mounts of the node; pins in bpffs
		"BPF",             // loads its programs and maps
		"PERFMON",         // attaches them to tracepoints
		"SYS_PTRACE",      // looks at the programs, roots and mounts of others (/proc/PID/exe, root, ns)
		"DAC_READ_SEARCH", // reads files of containers, whoever owns them; opens what an event names by its handle
		"LEASE",           // keeps writers away from a file while it is judged
		"KILL",            // ends processes of any user
		"SYS_RESOURCE",    // holds more descriptors and locked memory than a pod has, and is last to be killed for want of memory
	}
}

func (o *Options) guardPod() corev1.PodSpec {
	yes, no, root := true, false, int64(0)
	life := guardLife
	return corev1.PodSpec{
		ServiceAccountName: guardName, AutomountServiceAccountToken: &no,
		HostPID:           true, // what runs on the node is told apart by the node's own numbers
		PriorityClassName: "system-node-critical",
		Tolerations:       []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, // every node, from the first pod on
		NodeSelector:      map[string]string{corev1.LabelOSStable: "linux"},
		SecurityContext:   &corev1.PodSecurityContext{RunAsUser: &root, RunAsGroup: &root},
		Containers: []corev1.Container{{
			Name: "guard", Image: o.GuardImage, Args: o.guardArgs(),
			Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: guardMetrics, Protocol: corev1.ProtocolTCP}},
			Env:   []corev1.EnvVar{{Name: "NODE_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "spec.nodeName"}}}},
			SecurityContext: &corev1.SecurityContext{
				Privileged: &no, AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: guardCapabilities()},
				// What the runtime's own profile allows follows the capabilities. AppArmor's
				// keeps one container from looking at another.
				SeccompProfile:  &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("20m"), corev1.ResourceMemory: resource.MustParse("40Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "bpf", MountPath: "/sys/fs/bpf"},
				{Name: "run", MountPath: guardRun},
				{Name: "data", MountPath: guardData},
				{Name: "token", MountPath: path.Dir(guardToken), ReadOnly: true},
				{Name: "authority", MountPath: path.Dir(guardAuthority), ReadOnly: true},
				{Name: "tmp", MountPath: "/tmp"},
			},
		}},
		Volumes: []corev1.Volume{
			// The runtime's socket, layers and states are reached through the node's own
			// root (hostRoot). Were its folders mounted here, the roots of containers that
			// are mounted below them would be held when the containers are gone.
			hostPath("run", guardRun, corev1.HostPathDirectoryOrCreate), // where touchstone guard status asks on the node
			hostPath("bpf", "/sys/fs/bpf", corev1.HostPathDirectory),
			hostPath("data", guardData, corev1.HostPathDirectoryOrCreate),
			{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: kube.Audience, ExpirationSeconds: &life, Path: path.Base(guardToken)}},
			}}}},
			{Name: "authority", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: authorityMap}}}},
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}

// guardArgs is how touchstone is called on a node.
func (o *Options) guardArgs() []string {
	server := o.GuardServer
	if server == "" {
		server = fmt.Sprintf("https://%s", o.serviceHosts()[0])
	}
	return []string{
		"guard", "--server", server, "--token-file", guardToken, "--server-ca", guardAuthority, "--node", "$(NODE_NAME)",
		"--containerd", path.Join(hostRoot, o.GuardSocket), "--host-root", hostRoot, "--data", guardData,
		"--metrics", fmt.Sprintf(":%d", guardMetrics),
	}
}

func (o *Options) guardMeta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: guardName, Labels: guardLabels()}
}

func guardLabels() map[string]string { return map[string]string{"app.kubernetes.io/name": guardName} }
