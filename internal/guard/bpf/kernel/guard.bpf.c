// The programs of the guard's eBPF layer. Each acts only in its turn: while one
// generation takes over from another, both are attached.
#include "subject.h"
#include "file.h"
#include "event.h"
#include "hold.h"
#include "answer.h"
#include "mapping.h"

char terms[] SEC("license") = "Dual MIT/GPL";

// The SHA-256 of these sources, and what compiled them, so that a test can tell
// whether the object is theirs.
volatile const char sources[65] = SOURCES;
volatile const char compiler[64] = __clang_version__;

static __always_inline struct control *control_in_turn(void)
{
	u32 zero = 0;
	struct control *c = bpf_map_lookup_elem(&controls, &zero);
	return c && c->active == generation ? c : 0;
}

static __always_inline u64 first_instruction(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, ip);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, pc);
#endif
}

// judge_program looks at the file that was executed, where its code is mapped. A
// program of which no code is mapped from a file runs nothing of its own.
//
// In an overlay over an overlay, what is mapped leads to the file of the one below:
// the upper one's inode is a copy of its size and times, which nobody can forge.
static __always_inline u8 judge_program(u64 subject, struct task_struct *task, struct file *file, struct seen *seen)
{
	struct inode *executed = BPF_CORE_READ(file, f_inode);
	long err = look(BPF_CORE_READ(task, mm, start_code), seen);
	if (!err && seen->inode == executed)
		return judge(subject, seen);
	struct stamp below = seen->stamp;
	struct inode *mapped = err ? 0 : seen->inode;
	bool written = seen->written;
	see(file, seen);
	if (!seen->indirect || !seen->nlink)
		return judge(subject, seen);
	if (!mapped)
		return err == -EBUSY ? BUSY : ODD;
	if (below.ino != seen->stamp.ino || below.size != seen->stamp.size ||
	    below.mtime != seen->stamp.mtime || below.ctime != seen->stamp.ctime)
		return ODD;
	seen->inode = mapped; // which is also where the first instruction may lie
	seen->indirect = 0;
	seen->written |= written;
	u8 why = judge(subject, seen);
	if (why != UNVERIFIED)
		return why;
	seen->stamp.dev = below.dev;
	return judge(subject, seen);
}

// judge_loader looks at the file whose instruction comes first: the program's
// own, or its ELF interpreter's.
static __always_inline u8 judge_loader(u64 subject, struct inode *program, struct seen *seen)
{
	long err = look(first_instruction(), seen);
	if (err)
		return err == -EBUSY ? BUSY : ODD;
	if (seen->inode == program)
		return VERIFIED;
	return judge(subject, seen);
}

SEC("tp_btf/sched_process_exec")
int on_exec(u64 *ctx)
{
	struct task_struct *task = current_task();
	struct linux_binprm *binprm = (struct linux_binprm *)ctx[2];
	struct control *c = control_in_turn();
	if (!c)
		return 0;
	u64 subject = subject_of((u64)task);
	struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &subject);
	if (!s || !tally)
		return 0;
	count(tally, COUNT_EXECS);

	struct seen seen = {};
	struct news news = {.subject = subject, .task = (u64)task, .kind = EXEC, .part = PROGRAM};
	news.name = (u64)BPF_CORE_READ(binprm, filename);
	news.why = judge_program(subject, task, BPF_CORE_READ(binprm, file), &seen);
	news.file = seen.stamp;
	news.dentry = (u64)seen.dentry;
	news.address = BPF_CORE_READ(task, mm, start_code);
	if (news.why == VERIFIED) {
		news.why = judge_loader(subject, seen.inode, &seen);
		if (news.why != VERIFIED) {
			news.part = LOADER;
			news.file = seen.stamp;
			news.dentry = (u64)seen.dentry;
			news.address = first_instruction();
		}
	}
	if (news.why != VERIFIED) {
		count(tally, news.why == BUSY ? COUNT_UNJUDGED : COUNT_UNVERIFIED);
		news.verdict = act(task, c, subject, s, tally, answer_to_exec(s, news.why));
	}
	if (news.verdict != FINE || s->execs)
		tell(&news);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(u64 *ctx)
{
	struct task_struct *child = 0;
	bpf_probe_read_kernel(&child, sizeof(child), &ctx[1]); // as a number
	struct control *c = control_in_turn();
	if (!c || !c->forks || BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0;
	u64 subject = subject_of((u64)child);
	struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
	if (!s || !s->forks)
		return 0;
	struct news news = {.subject = subject, .task = (u64)child, .kind = FORK};
	tell(&news);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(u64 *ctx)
{
	struct task_struct *task = current_task();
	bool last = ctx[1];
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct control *c = control_in_turn();
	if (!c || !last)
		return 0;
	if (somebody_waits()) {
		let_go(pid);
		if (!attended(c))
			bpf_for_each_map_elem(&waiting, abandon, 0, 0);
	}
	u64 subject = subject_of((u64)task);
	struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
	if (!s || !s->exits)
		return 0;
	struct news news = {.subject = subject, .task = (u64)task, .kind = EXIT};
	news.code = BPF_CORE_READ(task, exit_code);
	tell(&news);
	return 0;
}

// A stop can be taken back by whoever may send SIGCONT; so can the kernel, when it
// orphans a stopped process. It must not run, unless it is the guard that lets it.
SEC("tp_btf/signal_generate")
int on_signal(u64 *ctx)
{
	if (ctx[0] != SIGCONT)
		return 0;
	struct control *c = control_in_turn();
	struct task_struct *task = (struct task_struct *)ctx[2];
	u32 pid = task->tgid;
	struct held *held = bpf_map_lookup_elem(&waiting, &pid);
	if (!c || !held || held->start != BPF_CORE_READ(task, group_leader, start_boottime))
		return 0;
	if (c->guard == bpf_get_current_pid_tgid() >> 32) {
		let_go(pid);
		return 0;
	}
	struct news news = {.subject = held->subject, .kind = EXEC, .why = CONTINUED, .verdict = UNSTOPPED};
	if (bpf_send_signal_task && !bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0))
		news.verdict = KILLED;
	bpf_probe_read_kernel(&news.task, sizeof(news.task), &ctx[2]);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &news.subject);
	if (tally)
		count(tally, news.verdict == KILLED ? COUNT_KILLED : COUNT_UNSTOPPED);
	tell(&news);
	return 0;
}

// list_processes tells of every process how its subject can be told; it runs when
// the guard asks.
SEC("iter/task")
int list_processes(struct bpf_iter__task *ctx)
{
	u32 zero = 0;
	struct control *c = bpf_map_lookup_elem(&controls, &zero);
	struct task_struct *task = 0;
	bpf_probe_read_kernel(&task, sizeof(task), &ctx->task);
	if (!c || !task || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	struct process p = {.pid = BPF_CORE_READ(task, tgid)};
	p.start = BPF_CORE_READ(task, start_boottime);
	p.mount = mount_of(task);
	struct cgroup *group = cgroup_of(task, c);
	if (BPF_CORE_READ(group, self.parent))
		p.cgroup = BPF_CORE_READ(group, kn, id);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	if (level)
		p.pid_space = pid_space_of(pid, level);
	bpf_seq_write(ctx->meta->seq, &p, sizeof(p));
	return 0;
}

SEC("tp_btf/sys_exit")
int on_call(u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	s64 result = ctx[1];
	struct call call = {};
	u32 number = number_of(regs);
	if (number == PTRACE_CALL || number == PTRACE_CALL_32) { // a tracer could let go on what is held
		if (somebody_waits() && control_in_turn())
			bpf_for_each_map_elem(&waiting, kill_traced, 0, 0);
		return 0;
	}
	struct task_struct *self = bpf_get_current_task_btf(); // whose fields are read without a call
	if (!read_call(self, regs, &call))
		return 0;
	bool asked = call.protection & PROT_EXEC;
	if (!asked && !implied(self, call.protection))
		return 0;
	struct task_struct *task = current_task();
	struct control *c = control_in_turn();
	if (!c)
		return 0;
	u64 subject = subject_of((u64)task);
	struct subject *s = bpf_map_lookup_elem(&subjects, &subject);
	struct tally *tally = bpf_map_lookup_elem(&tallies, &subject);
	if (!s || !tally)
		return 0;
	u8 answer = asked ? s->mapping : s->implied;
	if (answer == IGNORE)
		return 0;
	count(tally, COUNT_MAPPINGS);

	if (call.map) {
		struct seen seen = {};
		if ((u64)result > -4096ull || call.flags & MAP_ANONYMOUS)
			return 0;
		u8 why = judge_new_mapping(subject, task, &call, result, &seen, tally);
		finish(c, subject, s, tally, task, &seen, result, why, answer);
		return 0;
	}
	// A call that failed half way has changed what lies before.
	struct range range = {.subject = subject, .address = call.address, .end = call.address + call.length, .tally = tally};
	if (bpf_loop(AREAS, judge_area, &range, 0) == AREAS)
		range.why = BUSY;
	finish(c, subject, s, tally, task, &range.seen, range.address, range.why, answer);
	return 0;
}
