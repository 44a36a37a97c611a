// What is told to the guard.
#pragma once
#include "layout.h"
#include "file.h"

#define PATH_DEPTH 32
#define NAME_BYTES 256 // NAME_MAX and its end

static __always_inline void count(struct tally *tally, enum count what)
{
	tally->counts[what]++;
}

// admit takes one event's share of the subject's bucket, so that a flood of one
// subject leaves room for the others. Two processors at once may both get the last.
static __always_inline bool admit(const struct control *c, u64 subject, bool verdict, u64 now)
{
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &subject);
	if (!bucket)
		return false;
	u64 *due = &bucket->due[verdict];
	if (*due + c->burst < now)
		*due = now - c->burst;
	if (*due + c->cost > now)
		return false;
	__sync_fetch_and_add(due, c->cost);
	return true;
}

// describe fills in who did it.
static __always_inline void describe(struct event *e, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid number = {};

	e->pid = BPF_CORE_READ(task, tgid);
	e->tid = BPF_CORE_READ(task, pid);
	e->start = BPF_CORE_READ(leader, start_boottime);
	e->parent = BPF_CORE_READ(parent, tgid);
	e->parent_start = BPF_CORE_READ(parent, group_leader, start_boottime);
	e->uid = BPF_CORE_READ(task, cred, uid.val);
	e->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	u32 level = BPF_CORE_READ(pid, level);
	bpf_core_read(&number, sizeof(number), &pid->numbers[level]);
	e->inner_pid = number.nr;
	e->pid_ns = BPF_CORE_READ(number.ns, ns.inum);
	pid = BPF_CORE_READ(parent, thread_pid);
	level = BPF_CORE_READ(pid, level);
	bpf_core_read(&number, sizeof(number), &pid->numbers[level]);
	e->parent_pid_ns = BPF_CORE_READ(number.ns, ns.inum);
	pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]);
	bpf_core_read(&number, sizeof(number), &pid->numbers[0]);
	e->session = number.nr;
	BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	e->tty[0] = 0;
	if (tty)
		BPF_CORE_READ_STR_INTO(&e->tty, tty, name);
}

// room keeps the compiler from proving more than the verifier can follow: the
// offset that is tested is the one that is used.
#define room(m, at, bytes)                                \
	({                                                \
		asm volatile("" : "+r"(at));              \
		at <= sizeof((m)->data) - (bytes);        \
	})

// put_path writes the names from the file up to the root of its file system.
static __always_inline u64 put_path(struct message *m, struct dentry *dentry)
{
	u64 at = 0;
	for (int i = 0; i < PATH_DEPTH && dentry; i++) {
		if (at > PATH_MAX_BYTES - NAME_BYTES || !room(m, at, NAME_BYTES))
			break;
		long n = bpf_probe_read_kernel_str(&m->data[at], NAME_BYTES, BPF_CORE_READ(dentry, d_name.name));
		if (n <= 0)
			break;
		at += n;
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			break;
		dentry = parent;
	}
	return at;
}

static __always_inline u64 put_name(struct message *m, u64 at, const char *name)
{
	if (!room(m, at, NAME_MAX_BYTES))
		return at;
	long n = bpf_probe_read_kernel_str(&m->data[at], NAME_MAX_BYTES, name);
	return n > 0 ? at + n : at;
}

static __always_inline u64 put_args(struct message *m, u64 at, struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u64 start = BPF_CORE_READ(mm, arg_start);
	u64 n = BPF_CORE_READ(mm, arg_end) - start;
	if (n > ARGS_MAX_BYTES)
		n = ARGS_MAX_BYTES;
	asm volatile("" : "+r"(n));
	if (!room(m, at, ARGS_MAX_BYTES) || n > ARGS_MAX_BYTES)
		return at;
	if (bpf_probe_read_user(&m->data[at], n, (void *)start))
		return at;
	return at + n;
}

struct news {
	u64 subject;
	u64 task;
	u64 dentry;        // of the file, 0: none
	u64 name;          // a string, 0: none
	u64 address;
	struct stamp file;
	s32 code;
	u8 kind;
	u8 verdict;
	u8 why;
	u8 part;
};

// tell puts the news into the ring, or counts it as lost.
__noinline int tell(struct news *news)
{
	u32 zero = 0;
	if (!news)
		return 0;
	struct control *c = bpf_map_lookup_elem(&controls, &zero);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &news->subject);
	struct message *m = bpf_map_lookup_elem(&desk, &zero);
	if (!c || !tally || !m)
		return 0;
	bool verdict = news->verdict != FINE;
	u64 now = bpf_ktime_get_boot_ns();
	if (!admit(c, news->subject, verdict, now) ||
	    (!verdict && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > c->plain))
		goto lost;

	struct task_struct *task = (struct task_struct *)news->task;
	struct event *e = &m->event;
	e->subject = news->subject;
	e->at = now;
	e->file = news->file;
	e->address = news->address;
	e->code = news->code;
	e->kind = news->kind;
	e->verdict = news->verdict;
	e->why = news->why;
	e->part = news->part;
	e->zero = 0;
	describe(e, task);

	u64 path = put_path(m, (struct dentry *)news->dentry);
	u64 name = path, args;
	if (news->name)
		name = put_name(m, path, (const char *)news->name);
	args = name;
	bool own = news->task == bpf_get_current_task(); // else its memory is not this one
	if (own && (news->kind == EXEC || news->kind == MAP))
		args = put_args(m, name, task);
	e->path = path;
	e->name = name - path;
	e->args = args - name;

	u64 size = sizeof(*e) + args;
	asm volatile("" : "+r"(size));
	if (size > sizeof(*m))
		goto lost;
	if (!bpf_ringbuf_output(&events, m, size, 0))
		return 0;
lost:
	count(tally, verdict ? COUNT_LOST_VERDICTS : COUNT_LOST_EVENTS);
	return 0;
}
