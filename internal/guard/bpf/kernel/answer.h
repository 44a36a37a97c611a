// What is done about what was judged.
#pragma once
#include "event.h"
#include "hold.h"

static __always_inline u8 answer_to_exec(const struct subject *s, u8 why)
{
	if (why == BUSY)
		return s->unjudged;
	return why == NAMELESS ? s->nameless : s->unverified;
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
