// Which subject a task belongs to.
//
// A function that is neither static nor inline is verified once, by itself, for
// whatever it may be given: the verifier would not come to an end otherwise. It
// takes the addresses of kernel structures as numbers.
#pragma once
#include "layout.h"

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

#define CGROUP_DEPTH 64
#define PID_NS_DEPTH 32 // MAX_PID_NS_LEVEL

// cgroup_of returns the task's group in the hierarchy that subjects are told by.
static __always_inline struct cgroup *cgroup_of(struct task_struct *task, const struct control *c)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	if (c->hierarchy < 0)
		return BPF_CORE_READ(set, dfl_cgrp);
	struct cgroup_subsys_state *state = 0;
	void *slot = (void *)set + bpf_core_field_offset(struct css_set, subsys);
	bpf_probe_read_kernel(&state, sizeof(state), slot + c->hierarchy * sizeof(state));
	return BPF_CORE_READ(state, cgroup);
}

static __always_inline u64 subject_of_cgroup(struct task_struct *task, const struct control *c)
{
	struct cgroup *group = cgroup_of(task, c);
	for (int i = 0; i < CGROUP_DEPTH && group; i++) {
		u64 id = BPF_CORE_READ(group, kn, id);
		u64 *found = bpf_map_lookup_elem(&cgroups, &id);
		if (found)
			return *found;
		group = BPF_CORE_READ(group, self.parent, cgroup);
	}
	return 0;
}

// mount_of returns a number for the task's mount namespace that no other one ever
// has, or 0 if it has left it.
static __always_inline u64 mount_of(struct task_struct *task)
{
	struct mnt_namespace *space = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct ns_common___numbered *common = (void *)&space->ns;
	struct mnt_namespace___numbered *numbered = (void *)space;
	if (!space)
		return 0;
	if (bpf_core_field_exists(common->ns_id))
		return BPF_CORE_READ(common, ns_id);
	return BPF_CORE_READ(numbered, seq);
}

static __always_inline struct pid_space pid_space_of(struct pid *pid, u32 level)
{
	struct upid number = {};
	bpf_core_read(&number, sizeof(number), &pid->numbers[level]);
	struct pid_space space = {
		.inode = BPF_CORE_READ(number.ns, ns.inum),
		.start = BPF_CORE_READ(number.ns, child_reaper, group_leader, start_boottime),
	};
	return space;
}

static __always_inline u64 subject_of_pid_space(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	for (int i = 0; i < PID_NS_DEPTH; i++) {
		if (i >= level) // that of level 0 is the host's
			break;
		struct pid_space space = pid_space_of(pid, level - i);
		u64 *found = bpf_map_lookup_elem(&pid_spaces, &space);
		if (found)
			return *found;
	}
	return 0;
}

// subject_of returns 0 for what nobody watches. A task in a container's cgroup but
// in the host's mount namespace is the runtime, about to become the container.
__noinline u64 subject_of(u64 address)
{
	struct task_struct *task = (struct task_struct *)address;
	u32 zero = 0;
	struct control *c = bpf_map_lookup_elem(&controls, &zero);
	u64 mount = mount_of(task);
	if (!c || !mount)
		return 0;
	u64 subject = subject_of_cgroup(task, c);
	if (mount == c->mount)
		return subject ? 0 : c->host;
	if (subject)
		return subject;
	u64 *found = bpf_map_lookup_elem(&mount_spaces, &mount);
	if (found)
		return *found;
	subject = subject_of_pid_space(task);
	return subject ? subject : c->host;
}
