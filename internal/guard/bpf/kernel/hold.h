// Processes that wait, stopped, until the guard has judged them.
#pragma once
#include "event.h"

static __always_inline bool attended(const struct control *c)
{
	u32 zero = 0;
	u64 *beat = bpf_map_lookup_elem(&heartbeat, &zero);
	return beat && bpf_ktime_get_boot_ns() - *beat < c->stale;
}

// hold stops the task until the guard has judged it, if there is a guard, and
// nobody else can undo it. It returns what to do instead.
static __always_inline u8 hold(struct task_struct *task, const struct control *c, u64 subject, const struct subject *s)
{
	u32 pid = BPF_CORE_READ(task, tgid);
	if (!attended(c))
		return s->closed ? KILL : IGNORE;
	if (BPF_CORE_READ(task, ptrace)) // a tracer can take a stop away
		return KILL;
	u32 zero = 0;
	u64 *many = bpf_map_lookup_elem(&waiting_count, &zero);
	struct held held = {.subject = subject, .start = BPF_CORE_READ(task, group_leader, start_boottime)};
	if (bpf_map_update_elem(&waiting, &pid, &held, BPF_NOEXIST))
		bpf_map_update_elem(&waiting, &pid, &held, BPF_ANY); // waits for two reasons
	else if (many)
		__sync_fetch_and_add(many, 1);
	return HOLD; // though nobody sees who lets it go on, where there is no more room
}

static __always_inline bool somebody_waits(void)
{
	u32 zero = 0;
	u64 *many = bpf_map_lookup_elem(&waiting_count, &zero);
	return many && *many;
}

// let_go says whether the process waited; it does so no more.
static __always_inline bool let_go(u32 pid)
{
	u32 zero = 0;
	u64 *many = bpf_map_lookup_elem(&waiting_count, &zero);
	if (!many || bpf_map_delete_elem(&waiting, &pid))
		return false;
	__sync_fetch_and_add(many, -1);
	return true;
}

// settle ends the wait of one process: of one that is traced, or, while there is no
// guard, of any.
static __always_inline void settle(u32 pid, struct held *held, bool traced)
{
	u64 subject = held->subject, start = held->start;
	struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &subject);
	if (!bpf_task_from_pid || !bpf_task_release || !bpf_send_signal_task)
		return;
	struct task_struct *task = bpf_task_from_pid(pid);
	if (!task)
		return;
	bool same = BPF_CORE_READ(task, group_leader, start_boottime) == start;
	if (same && (!traced || BPF_CORE_READ(task, ptrace)) && let_go(pid)) {
		bool kill = traced || (s && s->closed);
		struct news news = {.subject = subject, .kind = EXEC, .why = traced ? CONTINUED : UNVERIFIED};
		news.verdict = kill ? KILLED : LET_RUN;
		if (bpf_send_signal_task(task, kill ? SIGKILL : SIGCONT, PIDTYPE_TGID, 0))
			news.verdict = UNSTOPPED;
		bpf_probe_read_kernel(&news.task, sizeof(news.task), &task);
		if (tally)
			count(tally, news.verdict == KILLED ? COUNT_KILLED :
				     news.verdict == LET_RUN ? COUNT_LET_RUN : COUNT_UNSTOPPED);
		tell(&news);
	}
	bpf_task_release(task);
}

static long abandon(void *map, u32 *key, struct held *value, void *context)
{
	settle(*key, value, false);
	return 0;
}

static long kill_traced(void *map, u32 *key, struct held *value, void *context)
{
	settle(*key, value, true);
	return 0;
}
