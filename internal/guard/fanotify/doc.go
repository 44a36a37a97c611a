// Package fanotify is the guard's permission layer: the kernel asks it before a
// program of a container is executed, and before an interpreter reads the script
// that it was given, and nothing happens until it has answered.
//
// It is plain Go on the kernel's fanotify(7). It knows where events come from, what
// was opened, by whom and why, and whether that content is known; what is to be
// done about unknown content is for its Judge to say. It knows no rules, no
// containers and no manifests, does not see what is mapped later (dlopen) nor
// memory without a name (memfd), and kills nobody: those are for the eBPF layer.
//
//	kernel ─ event ─► loop ─ whose? known? ──────────────────────────► answer
//	                    └─ else ─► queue, fair by subject ─► worker ─ hash, Judge ─► answer
//	                                    └─ bound passed ─► the subject's fail setting ─► answer
//	mountinfo ─ changed ─► marks on what was mounted
//	kernel ─ written ─► Written, once per subject and moment
//
// # Promises
//
// Every event is answered within Config.Bound, whatever happens: by the loop, by a
// worker, by the event's own timer, or by a watchdog that takes over from a loop that
// stands still. The loop opens no file, hashes nothing and waits for nobody. Reading
// what is judged goes through the event's own descriptor, which causes no events. One
// subject's work waits in a line of its own, and long hashing is done in slices, so
// that a subject delays another by no more than a slice for each. If the process
// dies, the kernel closes the group and lets everything that waits go on: the layer
// is then as if it had never been there. That is fail-open, whatever a subject says.
//
// # What is judged
//
// An exec by the content of what is executed, the program as well as its ELF or "#!"
// interpreter, which the kernel asks about one by one. What is unlinked is never
// known. An open only where the opener's program is an interpreter and its command
// line or environment names the file as what is to be run, or where LD_PRELOAD and
// its like name the file: see command.go. What lies, unchanged, in an image layer is
// not asked about when it is merely opened.
//
// # Between the answer and the act
//
// The kernel refuses to execute what is open for writing, but only after it has
// asked. So whatever may have a writer (all but unchanged files of the image's
// layers) is read under a read lease, which is not to be had while there is a writer
// or a writable mapping, and holds up whoever comes to write. It is kept until the
// program runs, when the kernel itself keeps writers away, but for a quarter of a
// second at most. On an overlay a mapping is one of the file in the writable
// layer, of which the overlay does not know; there a second lease is taken, where this
// process can see that layer. A verdict is remembered by Stamp; on file systems where
// writing through a mapping leaves the times alone (tmpfs), it is not.
//
// What is left: a process that is kept off the processor between answer and act for
// longer than that; file systems without leases (FUSE, NFS), where only the times are
// compared; a script between the answer and its reading. Config.After tells of what
// was let run from where it can be written, for whoever wants to look at /proc/PID/exe.
// What is still open for writing after 100 ms counts as unknown.
//
// # What is left open
//
// A script on standard input (sh < x), what a known script reads by itself (source,
// import, require), and directories that PYTHONPATH and its like name. An
// interpreter that is not known as one. A link that is pointed elsewhere between an
// interpreter's opening it and this package's looking at it. What is mapped
// executable later, memfd, and a file system that the subject mounts from FUSE, which
// is not marked because whoever serves it could hold up the loop: BPF sees those. A
// mount that was made some milliseconds ago. Volumes in a mount namespace that the
// subject has made, until the first exec or open on its own file systems from there.
// Opens on remote file systems, because what this process may not open there the
// kernel would deny to everybody.
//
// # What it costs others
//
// While a file is judged, and for a moment after it was written, this process has it
// open: its file system cannot be unmounted then. A program that does not hold still
// is hashed each time: on tmpfs, and for 50 ms after a change. The process must share
// the PID namespace of the machine, or events tell no process.
package fanotify
