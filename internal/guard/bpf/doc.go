// Package bpf is the guard's layer in the kernel: it sees every program that is
// executed and every file that is mapped to be executed in what is watched, and
// stops there what has not been verified, before an instruction of it runs. What it
// stops goes on being stopped while no guard runs: programs and maps are pinned.
//
// It is for that alone. It knows no images, hashes nothing and decides nothing: the
// agent tells it which tasks make up a subject (Watch), what is to be done there
// (Mode) and which files, in which state, are known (Verify); and it is told what
// was seen (Events). It cannot see a script that an interpreter is given, code that
// a program writes into its own memory, nor what is written to a file after it was
// mapped.
//
// How it goes, for a program that is executed:
//
//	sched_process_exec ─ which subject? ─ program and ELF interpreter ─ stamp verified? ─► runs
//	                     (cgroup, mount or PID namespace)                  │
//	                                                                       └─► report, hold (SIGSTOP) or kill ─ Event
//
// and for a library the same at the end of mmap and mprotect. The programs in C lie
// in the folder kernel; go generate compiles them.
package bpf

//go:generate kernel/generate
