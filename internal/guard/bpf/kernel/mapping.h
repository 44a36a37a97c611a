// What becomes executable memory. It is looked at when the system call is over and
// before the caller runs on: what is mapped then is certain, while a descriptor
// could be made another file's by a second thread between a look and the mapping.
//
// The tracepoints of single system calls (syscalls/sys_exit_mmap) cost the others half
// as much, but do not see the calls of 32-bit programs, which any program may make.
#pragma once
#include "file.h"
#include "answer.h"

#define AREAS 4096 // looked at in one mprotect

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2
static __always_inline bool compat(struct task_struct *task)
{
	return task->thread_info.status & TS_COMPAT;
}
#elif defined(__TARGET_ARCH_arm64)
#define TIF_32BIT 22
static __always_inline bool compat(struct task_struct *task)
{
	return task->thread_info.flags >> TIF_32BIT & 1;
}
#endif

struct call {
	u64 address;
	u64 length;
	u64 protection;
	u64 flags;
	u32 descriptor;
	bool map; // else it changes the protection
};

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000
#define PTRACE_CALL 101
#define PTRACE_CALL_32 26

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return (u32)regs->orig_ax & ~X32_BIT;
}

// read_call says whether the call may make memory executable. It runs at the end of
// every system call of the machine, so the number comes first.
static __always_inline bool read_call(struct task_struct *task, struct pt_regs *regs, struct call *call)
{
	u32 number = number_of(regs);
	switch (number) {
	case 9: case 10: case 329:           // mmap, mprotect, pkey_mprotect
	case 90: case 192: case 125: case 380: // the same for 32 bits, the old mmap before them
		break;
	default:
		return false;
	}
	bool narrow = compat(task);
	if (narrow) {
		call->address = (u32)regs->bx;
		call->length = (u32)regs->cx;
		call->protection = (u32)regs->dx;
		call->flags = regs->si;
		call->descriptor = regs->di;
		call->map = number == 192;
		if (number == 90) { // arguments lie in memory, where they can change: believe the mapping alone
			call->map = true;
			call->protection = PROT_EXEC;
			call->flags = 0;
			call->descriptor = -1;
		}
		return number == 90 || number == 192 || number == 125 || number == 380;
	}
	call->address = regs->di;
	call->length = regs->si;
	call->protection = regs->dx;
	call->flags = regs->r10;
	call->descriptor = regs->r8;
	call->map = number == 9;
	return number == 9 || number == 10 || number == 329;
}
#elif defined(__TARGET_ARCH_arm64)
#define PTRACE_CALL 117
#define PTRACE_CALL_32 26

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool read_call(struct task_struct *task, struct pt_regs *regs, struct call *call)
{
	u32 number = number_of(regs);
	switch (number) {
	case 222: case 226: case 288:           // mmap, mprotect, pkey_mprotect
	case 192: case 125: case 394:           // the same for 32 bits
		break;
	default:
		return false;
	}
	bool narrow = compat(task);
	call->address = regs->orig_x0;
	call->length = regs->regs[1];
	call->protection = regs->regs[2];
	call->flags = regs->regs[3];
	call->descriptor = regs->regs[4];
	call->map = number == (narrow ? 192 : 222);
	if (narrow)
		return number == 192 || number == 125 || number == 394;
	return number == 222 || number == 226 || number == 288;
}
#endif

// implied says whether the personality makes executable what is only to be read.
static __always_inline bool implied(struct task_struct *task, u64 protection)
{
	return protection & PROT_READ && task->personality & READ_IMPLIES_EXEC;
}

// judge_mapping lets live what just-in-time compilers do: code written into a
// shared mapping of a file without a name, or into huge pages.
static __always_inline u8 judge_mapping(u64 subject, struct seen *seen, struct tally *tally)
{
	u16 type = seen->mode & S_IFMT;
	if (!seen->inode || !(seen->flags & VM_EXEC) || (type != S_IFREG && type != S_IFBLK))
		return VERIFIED;
	if (!seen->nlink && (seen->flags & VM_MAYSHARE || seen->magic == HUGETLBFS_MAGIC)) {
		count(tally, COUNT_MEMORY);
		return VERIFIED;
	}
	return judge(subject, seen);
}

// see_descriptor reads the file behind a descriptor of the task.
static __always_inline void see_descriptor(struct task_struct *task, u32 descriptor, struct seen *seen)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	if (descriptor >= BPF_CORE_READ(table, max_fds))
		return;
	struct file **slots = BPF_CORE_READ(table, fd);
	struct file *file = 0;
	bpf_probe_read_kernel(&file, sizeof(file), &slots[descriptor]);
	if (file)
		see(file, seen);
}

// judge_new_mapping falls back on the descriptor where the map cannot be asked: what
// lies behind it is most likely what was mapped, and surely enough to condemn it.
static __always_inline u8 judge_new_mapping(u64 subject, struct task_struct *task, struct call *call, u64 address,
					    struct seen *seen, struct tally *tally)
{
	if (!look(address, seen))
		return judge_mapping(subject, seen, tally);
	see_descriptor(task, call->descriptor, seen);
	seen->flags = VM_EXEC | (call->flags & MAP_SHARED ? VM_MAYSHARE : 0);
	u8 why = judge_mapping(subject, seen, tally);
	return why == VERIFIED || why == ODD ? BUSY : why;
}

// finish answers what was judged of one mapping, and tells of it.
static __always_inline void finish(const struct control *c, u64 subject, const struct subject *s, struct tally *tally,
				   struct task_struct *task, const struct seen *seen, u64 address, u8 why, u8 answer)
{
	if (why == VERIFIED)
		return;
	if (why == BUSY)
		answer = s->unjudged;
	count(tally, why == BUSY ? COUNT_UNJUDGED : COUNT_UNVERIFIED);
	struct news news = {
		.subject = subject,
		.task = (u64)task,
		.file = seen->stamp,
		.dentry = (u64)seen->dentry,
		.address = address,
		.kind = MAP,
		.why = why,
		.part = MAPPING,
	};
	news.verdict = act(task, c, subject, s, tally, answer);
	if (news.verdict != FINE)
		tell(&news);
}

struct range {
	u64 subject;
	u64 address;
	u64 end;
	struct tally *tally;
	struct seen seen;
	u8 why;
};

// judge_area looks at the mapping at the beginning of the range, and takes it off.
static long judge_area(u32 index, struct range *range)
{
	long err = look(range->address, &range->seen);
	if (err && err != -EBUSY)
		return 1; // nothing is there, and the call has failed here
	range->why = err ? BUSY : judge_mapping(range->subject, &range->seen, range->tally);
	if (range->why != VERIFIED)
		return 1;
	range->address = range->seen.end;
	return range->address >= range->end;
}
