// Package index is the file that advisories are looked up in: read-only, one
// for each revision, memory-mapped, asked by package and by the name of an
// advisory. It knows nothing of where advisories come from or how versions
// order; it holds what package build worked out before.
//
// # The file
//
// One page of header, then sections, each made of records in the form of
// package wire:
//
//	names     every name of every hole, with the numbers of the holes it names
//	packages  every package that an advisory mentions: its versions in order,
//	          and the statements about it
//	holes     every hole: names, score, summary, where it is mentioned
//	tables    for names and packages, where the records of each hash bucket
//	          begin; for holes, where each record begins
//	meta      the ecosystems, as JSON
//	sums      a CRC-32C of every page before it
//
// Opening reads the header and the sums. A page is verified when it is first
// touched; a file that is cut short, altered or of another version gives an
// error that wraps ErrDamaged, never an answer.
//
// A version is stored once in its package and named by its rank there, so that
// a range is a few small numbers and asking whether it holds costs no
// comparison of versions beyond finding the installed one's place.
package index
