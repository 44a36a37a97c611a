// Package gosym reads which functions a Go binary holds, so that a hole in a
// function that was never linked in can be told apart from one that was.
//
// The names come from the table that the runtime needs for its stack traces
// (runtime.pclntab, cmd/link/internal/ld/pcln.go), which stripping leaves alone.
// Since Go 1.16 its name table also holds every function that was inlined
// somewhere. Read turns the names into a Set of hashes; Encode and Decode carry
// the set through storage; Has asks it in the words of the Go vulnerability
// database.
//
// "Not there" is a proof that lets a hole pass, so every doubt goes the other
// way: a binary whose table is missing, older than Go 1.16, obfuscated or not the
// whole program is an error, and whoever asked must take everything as present. A
// binary that was forged can hide what it holds. One that was merely built hides
// only functions of which not one instruction is left where they were inlined
// (govulncheck reads the same table and knows no more).
//
// Nothing here reads versions or knows any vulnerability.
package gosym

import (
	"hash/fnv"
	"io"
	"strings"
)

// A Set is the functions of one Go binary. It is immutable.
//
// It holds hashes of names, not names: the FNV-1a 64-bit hash, folded to 40 bits
// by exclusive-or as its authors advise. Two names that share a hash make one of
// them look present, never absent, and with 100,000 functions that happens to one
// question in five million.
type Set struct {
	flags   byte
	records []byte // hashSize bytes each, big-endian, ascending, all different
}

const hashSize = 5

// flagMain says that the import path of package main is not known, so that any
// package may be it.
const flagMain = 1

// Read returns the functions of the Go program in r: ELF, PE or Mach-O, stripped
// or not. An error means that nothing can be said about what the binary holds.
func Read(r io.ReaderAt) (*Set, error) {
	return read(r)
}

// Has reports whether the binary may hold the symbol of a package. symbol is
// written as the Go vulnerability database writes it: "Func" or "Type.Method",
// without star and type parameters. False is a proof, true is not.
func (s *Set) Has(pkgPath, symbol string) bool {
	if s == nil {
		return true
	}
	// The database tells several init functions apart in its own way ("init#1").
	symbol, _, _ = strings.Cut(symbol, "#")
	if s.has(hashSymbol(pkgPath, symbol)) {
		return true
	}
	return s.flags&flagMain != 0 && s.has(hashSymbol("main", symbol))
}

// HasPackage reports whether the binary may hold any function of the package.
func (s *Set) HasPackage(pkgPath string) bool {
	return s == nil || s.flags&flagMain != 0 || s.has(hashPackage(pkgPath))
}

// Len returns the number of different hashes in the set.
func (s *Set) Len() int { return len(s.records) / hashSize }

func (s *Set) has(h uint64) bool {
	low, high := 0, s.Len()
	for low < high {
		mid := int(uint(low+high) >> 1)
		switch g := s.at(mid); {
		case g == h:
			return true
		case g < h:
			low = mid + 1
		default:
			high = mid
		}
	}
	return false
}

func (s *Set) at(i int) uint64 {
	b := s.records[i*hashSize : i*hashSize+hashSize]
	return uint64(b[0])<<32 | uint64(b[1])<<24 | uint64(b[2])<<16 | uint64(b[3])<<8 | uint64(b[4])
}

func hashPackage(pkgPath string) uint64 { return fold("p", pkgPath, "") }

func hashSymbol(pkgPath, symbol string) uint64 { return fold("s", pkgPath, symbol) }

// fold returns the 40-bit hash of kind, package and symbol. NUL keeps the parts
// apart: no name holds one.
func fold(kind, pkgPath, symbol string) uint64 {
	h := fnv.New64a()
	for _, part := range [...]string{kind, "\x00", pkgPath, "\x00", symbol} {
		_, _ = io.WriteString(h, part) // never fails
	}
	const bits = 8 * hashSize
	sum := h.Sum64()
	return (sum>>bits ^ sum) & (1<<bits - 1)
}
