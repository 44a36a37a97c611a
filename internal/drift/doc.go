// Package drift says what differs between what is there and the manifest of the
// artifact that it came from.
//
// What is there is one of three: the upper directory of an overlay, which holds
// all that a container has changed of its image; a volume, of which only that
// counts what can be executed and is not in the image; or a folder, such as a
// machine's root. It is not for stopping anything, nor for telling who made a
// change: it reads, and says what it could not read.
//
//	upper directory, volume or folder ─ walk ─┐
//	manifest.Reader ──────────────────────────┼─► compare ─► Finding (Drift or Gap), in order of path
//	what the last scan remembered ────────────┘                 └─► what the next scan remembers
//
// The walk goes by name in the order of the manifest, so that both are read side
// by side and neither is held. Files are told apart by content: an equal SHA-256,
// mode and owner is no difference, whatever the times say and however the file
// came there. Names are bytes.
//
// # What a Scanner remembers
//
// Of each file whose content was read, a fingerprint of 16 bytes of what stat(2)
// says; of each difference, what was there. A file with the same fingerprint is
// not read again. The time of the last change (ctime) is the kernel's and cannot
// be set from inside a container, short of setting the clock of the node. It is
// not trusted while it is fresh (Config.Settle), for two reasons: time has grains
// of some milliseconds on older kernels, and a page that is mapped writable can
// be written without any sign until the kernel has written it back, 35 seconds at
// most after it became dirty (vm.dirty_expire_centisecs and
// vm.dirty_writeback_centisecs, where nobody changed them). tmpfs is never
// written back: there a write through an old mapping shows no sign at all, which
// is what Scanner.Forget is for.
//
// # Hostile trees
//
// Every name is opened alone, in its folder, by handle (openat2(2)): neither a
// link nor a rename leads out of the tree. Nothing is opened for reading that
// is no regular file, and reading a file ends at the size that it had. Of a
// folder with millions of names only some are held at a time; of deep folders,
// only the last are open. Files, bytes and time are bounded for each scan, and
// the next scan goes on where the last one ended.
package drift
