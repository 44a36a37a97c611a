// What the kernel side and the Go side share: the maps and what lies in them.
#pragma once
#include "kernel.h"

// A stamp names one state of one file: any change of its content changes it. The
// superblock and the inode number are those that a stat of the user's own path
// shows (an overlay's), size and times those of the file below that holds the
// bytes, which a stat shows as well.
struct stamp {
	u32 dev; // major << 20 | minor
	u32 zero;
	u64 ino;
	u64 size;
	s64 mtime; // nanoseconds
	s64 ctime;
};

enum answer {
	IGNORE,
	REPORT,
	HOLD,
	KILL,
};

enum verdict {
	FINE,
	REPORTED,
	HELD,
	KILLED,
	LET_RUN,  // should have been held, but nobody is there to judge it
	UNSTOPPED, // the signal could not be sent
};

enum why {
	VERIFIED,
	UNVERIFIED, // this state of the file has not been verified
	NAMELESS,   // the file has no name any more, or never had one
	WRITTEN,    // somebody may be writing to it
	ODD,        // what is mapped is not what was executed, or lies in no file
	BUSY,       // the memory map was locked by another thread
	FOREIGN,    // the file system's server can change the file unseen
	CONTINUED,  // it was held, and somebody else than the guard let it go on
};

enum part {
	PROGRAM,
	LOADER,
	MAPPING,
};

enum kind {
	EXEC = 1,
	FORK,
	EXIT,
	MAP,
};

struct subject {
	u8 unverified; // answers
	u8 nameless;
	u8 mapping;
	u8 implied;  // for a mapping that the personality alone makes executable
	u8 unjudged;
	u8 closed;   // kills what it should hold, when nobody is there to judge it
	u8 trusting; // believes the servers of file systems
	u8 execs;    // events wanted
	u8 forks;
	u8 exits;
	u16 zero;
	u32 zeros;
};

enum count {
	COUNT_EXECS,
	COUNT_MAPPINGS,
	COUNT_UNVERIFIED,
	COUNT_KILLED,
	COUNT_HELD,
	COUNT_REPORTED,
	COUNT_LET_RUN,
	COUNT_UNSTOPPED,
	COUNT_UNJUDGED,
	COUNT_MEMORY,
	COUNT_LOST_VERDICTS,
	COUNT_LOST_EVENTS,
	COUNTS,
};

// A tally is one subject's on one processor.
struct tally {
	u64 counts[COUNTS];
};

// A bucket is one subject's share of the ring: when, by the bucket's clock, the next
// event may come, of process events and of verdicts.
struct bucket {
	u64 due[2];
};

struct control {
	u64 active;    // the generation of programs that acts; others stand by
	u64 host;      // the subject of what is in no other; 0: none
	u64 stale;     // nanoseconds without a beat after which nobody is there
	u64 cost;      // nanoseconds of a bucket that one event takes
	u64 burst;     // nanoseconds that a bucket holds
	u64 plain;     // bytes in the ring above which only verdicts enter it
	u64 mount;     // the host's own mount namespace
	u32 guard;     // the process that may let held ones go on
	s32 hierarchy; // index of the version 1 controller whose groups are registered; -1: version 2
	u32 forks;     // some subject wants them
	u32 zero;
};

struct event {
	u64 subject;
	u64 at; // since boot, as are the next two
	u64 start;
	u64 parent_start;
	struct stamp file; // that which was judged
	u64 address;
	u32 pid;
	u32 tid;
	u32 parent;
	u32 uid;
	u32 inner_pid; // in its own PID namespace
	u32 mount_ns;
	u32 pid_ns;
	u32 parent_pid_ns;
	u32 session;
	s32 code;
	u8 kind;
	u8 verdict;
	u8 why;
	u8 part;
	u16 path; // bytes of data that are the file's path: names, the deepest first, each ended by 0
	u16 name; // what exec was given, ended by 0
	u16 args; // arguments, each ended by 0
	u16 zero;
	char comm[16];
	char tty[16];
};

// The inode number of a PID namespace is given again; together with the start of its
// first process, it names one.
struct pid_space {
	u32 inode;
	u32 zero;
	u64 start;
};

// What is told of a process that is asked for.
struct process {
	u32 pid;
	u32 zero;
	u64 start;
	u64 cgroup; // 0: the root
	u64 mount;
	struct pid_space pid_space; // inode 0: the host's
};

// Without a use outside of functions, Go would not be told of the type.
const struct process *unused __attribute__((unused));

#define PATH_MAX_BYTES 1024
#define NAME_MAX_BYTES 512
#define ARGS_MAX_BYTES 4096

struct message {
	struct event event;
	char data[PATH_MAX_BYTES + NAME_MAX_BYTES + ARGS_MAX_BYTES + 512];
};

// Sizes that are 1 are set by the configuration.

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} controls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} heartbeat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct subject);
} subjects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, u64);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64); // a number that is never given again
	__type(value, u64);
} mount_spaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct pid_space);
	__type(value, u64);
} pid_spaces SEC(".maps");

struct held {
	u64 subject;
	u64 start; // of the process, so that no other with its PID is taken for it
};

// Processes that wait to be judged.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct held);
} waiting SEC(".maps");

// How many of them there are, or somewhat more.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} waiting_count SEC(".maps");

// The stamps verified, one map a subject, so that none can fill another's.
struct verified {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct stamp);
	__type(value, u64); // when, since boot
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64);
	__array(values, struct verified);
} stamps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

// Where a message is put together: too large for the stack.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct message);
} desk SEC(".maps");

// Which generation of programs this is.
volatile const u64 generation = 0;

// The bit of f_mode that tells a backing file, by which an overlay opens the one
// below: it has not always been the same.
volatile const u32 backing_flag = 0;
