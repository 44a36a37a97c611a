// What is done about what was judged.
#pragma once
#include "layout.h"

static __always_inline void count(struct tally *tally, enum count what)
{
	tally->counts[what]++;
}

static __always_inline u8 answer_for(const struct subject *s, u8 part, u8 why)
{
	if (why == BUSY)
		return s->unjudged;
	if (part == MAPPING)
		return s->mapping;
	return why == NAMELESS ? s->nameless : s->unverified;
}

static __always_inline bool attended(const struct control *c)
{
	u32 zero = 0;
	u64 *beat = bpf_map_lookup_elem(&heartbeat, &zero);
	return beat && bpf_ktime_get_boot_ns() - *beat < c->stale;
}

// act sends the signal, if any: it is taken before the task runs another
// instruction of its own. A tracer can take a stop away, but no kill.
static __always_inline u8 act(struct task_struct *task, const struct control *c, const struct subject *s,
			      struct tally *tally, u8 answer)
{
	if (answer == IGNORE)
		return FINE;
	if (answer == REPORT) {
		count(tally, COUNT_REPORTED);
		return REPORTED;
	}
	if (answer == HOLD) {
		if (BPF_CORE_READ(task, ptrace)) {
			answer = KILL;
		} else if (!attended(c)) {
			if (!s->closed) {
				count(tally, COUNT_LET_RUN);
				return LET_RUN;
			}
			answer = KILL;
		}
	}
	if (bpf_send_signal(answer == KILL ? SIGKILL : SIGSTOP)) {
		count(tally, COUNT_UNSTOPPED);
		return UNSTOPPED;
	}
	count(tally, answer == KILL ? COUNT_KILLED : COUNT_HELD);
	return answer == KILL ? KILLED : HELD;
}
