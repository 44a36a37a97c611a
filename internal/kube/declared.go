package kube

import (
	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// declared lists the containers of a pod, with what a kubelet executes in them by
// itself. What is executed by other means is none of it.
func declared(spec *corev1.PodSpec, settings map[string]touchstone.Settings) []gate.PodContainer {
	out := make([]gate.PodContainer, 0, len(spec.InitContainers)+len(spec.Containers)+len(spec.EphemeralContainers))
	add := func(c *corev1.Container, role gate.ContainerRole, restart corev1.RestartPolicy) {
		if c.RestartPolicy != nil {
			restart = corev1.RestartPolicy(*c.RestartPolicy)
		}
		one := gate.PodContainer{
			Name: c.Name, Role: role, Image: c.Image, Restart: gate.RestartPolicy(restart), Pulls: c.ImagePullPolicy == corev1.PullAlways,
			Settings: settings[c.Name],
		}
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p != nil && p.Exec != nil {
				one.Probes = append(one.Probes, expanded(p.Exec.Command, c.Env))
			}
		}
		if l := c.Lifecycle; l != nil {
			for _, h := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
				if h != nil && h.Exec != nil {
					one.Hooks = append(one.Hooks, h.Exec.Command)
				}
			}
		}
		out = append(out, one)
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c, gate.RoleSidecar, corev1.RestartPolicyAlways)
			continue
		}
		// One that fails is started again, unless its pod never is.
		restart := corev1.RestartPolicyOnFailure
		if spec.RestartPolicy == corev1.RestartPolicyNever {
			restart = corev1.RestartPolicyNever
		}
		add(c, gate.RoleInit, restart)
	}
	for i := range spec.Containers {
		add(&spec.Containers[i], gate.RoleMain, spec.RestartPolicy)
	}
	for i := range spec.EphemeralContainers {
		c := corev1.Container(spec.EphemeralContainers[i].EphemeralContainerCommon)
		add(&c, gate.RoleEphemeral, corev1.RestartPolicyNever)
	}
	return out
}
