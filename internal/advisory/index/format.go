package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"touchstone.dev/touchstone"
)

// ErrDamaged marks a file that cannot be an index of this version of the
// program: cut short, altered, or written by another.
var ErrDamaged = errors.New("the advisory index is damaged")

const (
	magic    = "touchstone-adv\x00\x00"
	version  = 1
	pageSize = 4096
	// longestFile keeps every offset inside a section below 32 bits.
	longestFile = 4 << 30
)

type section int

const (
	secNames section = iota
	secNameTable
	secPackages
	secPackageTable
	secHoles
	secHoleTable
	secMeta
	secSums
	sections
)

type span struct{ off, len uint64 }

type header struct {
	size     uint64
	built    time.Time // kept out of the revision, which names content alone
	revision [32]byte  // SHA-256 of everything after the header's page
	sumsCRC  uint32
	spans    [sections]span
}

const headerLen = len(magic) + 4 + 8 + 8 + 32 + 4 + int(sections)*16 + 4

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (h *header) encode() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, pageSize), magic...)
	b = le.AppendUint32(b, version)
	b = le.AppendUint64(b, h.size)
	b = le.AppendUint64(b, uint64(h.built.Unix()))
	b = append(b, h.revision[:]...)
	b = le.AppendUint32(b, h.sumsCRC)
	for _, s := range h.spans {
		b = le.AppendUint64(b, s.off)
		b = le.AppendUint64(b, s.len)
	}
	b = le.AppendUint32(b, crc32.Checksum(b, castagnoli()))
	return b[:pageSize]
}

// decodeHeader reads the header of a file of the given size.
func decodeHeader(b []byte, size uint64) (*header, error) {
	le := binary.LittleEndian
	if len(b) < pageSize || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it is no index", ErrDamaged)
	}
	if v := le.Uint32(b[len(magic):]); v != version {
		return nil, fmt.Errorf("%w: it has version %d, and this program reads version %d", ErrDamaged, v, version)
	}
	if crc32.Checksum(b[:headerLen-4], castagnoli()) != le.Uint32(b[headerLen-4:]) {
		return nil, fmt.Errorf("%w: its header was altered", ErrDamaged)
	}
	h := &header{}
	p := b[len(magic)+4:]
	h.size = le.Uint64(p)
	h.built = time.Unix(int64(le.Uint64(p[8:])), 0).UTC()
	copy(h.revision[:], p[16:])
	h.sumsCRC = le.Uint32(p[48:])
	p = p[52:]
	for i := range h.spans {
		h.spans[i] = span{le.Uint64(p), le.Uint64(p[8:])}
		p = p[16:]
	}
	if h.size != size {
		return nil, fmt.Errorf("%w: it has %d bytes of %d", ErrDamaged, size, h.size)
	}
	end := uint64(pageSize)
	for _, s := range h.spans {
		if s.off != end || s.len > size-s.off {
			return nil, fmt.Errorf("%w: its sections do not fit together", ErrDamaged)
		}
		end += s.len
	}
	if pages := (h.spans[secSums].off + pageSize - 1) / pageSize; end != size || h.spans[secSums].len != 4*pages {
		return nil, fmt.Errorf("%w: its sections do not fit together", ErrDamaged)
	}
	return h, nil
}

// Meta is what the index says of itself.
type Meta struct {
	// Ecosystems is every ecosystem that a statement names, in the order of
	// their numbers.
	Ecosystems []Ecosystem `json:"ecosystems"`
	Records    int         `json:"records"` // advisories that count: neither withdrawn nor superseded
	Holes      int         `json:"holes"`
	Packages   int         `json:"packages"`
}

// Ecosystem is one ecosystem, with its release, and how much is said of it.
type Ecosystem struct {
	Name       string `json:"name"`
	Statements int    `json:"statements"`
}

// Hole is one vulnerability, all its names merged.
type Hole struct {
	Names          []string // the best-known first, the rest sorted
	Score          float64
	Scored         bool
	ScoreSource    string
	Vector         string
	KnownExploited bool
	EPSS           float64
	Published      time.Time
	Modified       time.Time
	Summary        string
	SSVC           touchstone.SSVC
	Packages       []uint32 // refs of the packages that it is mentioned for
}

// Package is everything said of one package of one family of ecosystems.
type Package struct {
	Family string // "Debian", "npm"
	Name   string
	// Versions holds first the comparable ones in order, then the others.
	Versions   []string
	Comparable int
	// Ordered is false when the family's order contradicts itself over these
	// versions; each must then be compared by itself.
	Ordered    bool
	Statements []Statement
}

// Statement is what one advisory record says of the package.
type Statement struct {
	Source      uint32 // ref of the record's name
	NotAffected bool   // the source says so in as many words
	WontFix     bool   // affected, and will not be mended
	Symbolic    bool   // of a source that names symbols wherever it knows them (the Go vulnerability database)
	Ecosystems  []uint32
	Holes       []uint32
	Ranges      []Range
	Exact       []uint32 // ranks of single versions
	Imports     []Import
}

// Range is the events of one range; all of one range hold together.
type Range []Event

// Event is a version at which something begins or ends (OSV schema 1.7,
// "affected[].ranges[].events").
type Event struct {
	Kind EventKind
	Rank int // of the version; Beginning for the "0" that stands before all
}

// Beginning is the rank of "0", below every version.
const Beginning = -1

// EventKind is what happens at an event.
type EventKind uint8

// The kinds of event.
const (
	Introduced EventKind = iota
	Fixed
	LastAffected
	Limit
)

// Import names the part of a Go module that a hole is in.
type Import struct {
	Path    string
	Symbols []string // "Type.Method" or "Func"; empty means the whole package
	GOOS    []string
	GOARCH  []string
}

// Hash places a key in its table. It is FNV-1a with a last mixing, because the
// tables use the upper bits.
func Hash(parts ...string) uint64 {
	h := uint64(14695981039346656037)
	for i, p := range parts {
		if i > 0 {
			h *= 1099511628211 // a zero byte between the parts
		}
		for j := range len(p) {
			h = (h ^ uint64(p[j])) * 1099511628211
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// bucketBits returns how many upper bits of the hash choose a bucket for n keys.
func bucketBits(n int) int {
	bits := 0
	for 1<<bits < n/2 {
		bits++
	}
	return bits
}

func bucketOf(hash uint64, bits int) int { return int(hash >> 1 >> (63 - bits)) }
