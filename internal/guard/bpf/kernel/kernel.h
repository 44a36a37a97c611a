// What the programs read of the kernel's structures, by name: each field is found
// where the running kernel's BTF says it is (CO-RE), so that this short list stands
// for all kernels. A structure with ___ in its name is one shape of several over
// the years.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef signed char __s8;
typedef short __s16;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0

// From include/uapi/linux/bpf.h.
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_HASH_OF_MAPS = 13,
	BPF_MAP_TYPE_RINGBUF = 27,
};

#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_F_NO_PREALLOC 1
#define BPF_RB_AVAIL_DATA 0

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define EBUSY 16

#define SIGKILL 9
#define SIGCONT 18
#define SIGSTOP 19

#define PROT_READ 1
#define PROT_EXEC 4
#define MAP_SHARED 0x01 // and, by its bit, MAP_SHARED_VALIDATE
#define MAP_ANONYMOUS 0x20
#define READ_IMPLIES_EXEC 0x0400000

#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFBLK 0060000

#define OVERLAYFS_MAGIC 0x794c7630
#define FUSE_MAGIC 0x65735546
#define HUGETLBFS_MAGIC 0x958458f6

#define VM_EXEC 0x4
#define VM_MAYSHARE 0x80 // VM_SHARED is taken away from a file opened for reading

#define CTIME_QUERIED (1u << 31) // a flag in i_ctime_nsec of kernels with fine times


#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

struct atomic {
	int counter;
};

struct inode {
	u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_size;
	s64 i_mtime_sec; // since 6.11
	s64 i_ctime_sec;
	u32 i_mtime_nsec;
	u32 i_ctime_nsec;
	struct atomic i_writecount;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode___hidden { // 6.7 to 6.10; the second alone in 6.6
	struct timespec64 __i_mtime;
	struct timespec64 __i_ctime;
};

struct inode___open { // until 6.5; the first alone in 6.6
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	struct inode *f_inode;
	struct path f_path;
};

struct backing_file { // since 6.8; before, f_path is what the user opened
	struct file file;
	struct path user_path;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	struct file *vm_file;
};

struct mm_struct {
	unsigned long start_code;
	unsigned long arg_start;
	unsigned long arg_end;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct ns_common {
	unsigned int inum;
};

struct ns_common___numbered { // since 6.18
	u64 ns_id;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct mnt_namespace___numbered { // before
	u64 seq;
};

struct pid_namespace {
	struct ns_common ns;
	struct task_struct *child_reaper;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

struct kernfs_node {
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct tty_struct {
	char name[64];
};

struct signal_struct {
	struct pid *pids[4]; // by pid_type
	struct tty_struct *tty;
};

struct kuid {
	u32 val;
};

struct cred {
	struct kuid uid;
};

struct thread_info {
	unsigned long flags;
	u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int ptrace;
	struct mm_struct *mm;
	int exit_code;
	unsigned int personality;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10;
	unsigned long r8;
	unsigned long bx;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long ip;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	u64 pc;
	u64 orig_x0;
	s32 syscallno;
};
#endif

#pragma clang attribute pop

enum pid_type {
	PIDTYPE_TGID = 1,
	PIDTYPE_SID = 3,
};

// Since 6.13. It sends the signal to the task's process, later if it must.
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak; // since 6.2
extern void bpf_task_release(struct task_struct *task) __ksym __weak;
extern int bpf_send_signal_task(struct task_struct *task, int signal, enum pid_type type, u64 value) __ksym __weak;
