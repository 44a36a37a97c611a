// Package pin finds what a build takes without an exact version or digest, in
// Dockerfiles and Containerfiles, and writes the missing pins into them.
//
// It reads one file and nothing else: no build context, no registry, no
// network. What requirements.txt or package.json ask for is not judged here;
// a command that takes whatever they ask for is. Versions and digests come from
// the caller (Versions), best from the evidence of what was really built.
//
// The way of the data:
//
//	bytes ─ buildkit's parser ─► instructions ─ stages, ARG, ENV ─► image references, ADD
//	                                   └─ RUN ─ shell parser ─► calls ─ one judge per tool ─► Findings
//	Findings + Versions ─ Fix ─► edits, each checked by reading the result again
//
// Every byte that is judged knows where in the file it stands (text), through
// continuation lines, heredocs, variables and nested shells. That is what lets
// Fix change a version and leave the rest of the file alone.
//
// The file is written by a stranger: its size, the nesting of its commands and
// what its variables grow to are bounded, and what could not be read is a gap.
package pin
