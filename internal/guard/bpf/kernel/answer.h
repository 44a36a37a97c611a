// What is done about what was judged.
#pragma once
#include "layout.h"

static __always_inline void count(struct tally *tally, enum count what)
{
	tally->counts[what]++;
}

static __always_inline u8 answer_to_exec(const struct subject *s, u8 why)
{
	if (why == BUSY)
		return s->unjudged;
	return why == NAMELESS ? s->nameless : s->unverified;
}

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
	if (many && !bpf_map_update_elem(&waiting, &pid, &held, BPF_ANY))
		__sync_fetch_and_add(many, 1);
	return HOLD; // though nobody sees who lets it go on, where there is no more room
}

// act sends the signal, if any: it is taken before the task runs another
// instruction of its own.
static __always_inline u8 act(struct task_struct *task, const struct control *c, u64 subject, const struct subject *s,
			      struct tally *tally, u8 answer)
{
	if (answer == IGNORE)
		return FINE;
	if (answer == REPORT) {
		count(tally, COUNT_REPORTED);
		return REPORTED;
	}
	if (answer == HOLD)
		answer = hold(task, c, subject, s);
	if (answer == IGNORE) {
		count(tally, COUNT_LET_RUN);
		return LET_RUN;
	}
	if (bpf_send_signal(answer == KILL ? SIGKILL : SIGSTOP)) {
		count(tally, COUNT_UNSTOPPED);
		return UNSTOPPED;
	}
	count(tally, answer == KILL ? COUNT_KILLED : COUNT_HELD);
	return answer == KILL ? KILLED : HELD;
}
