package index

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/wire"
)

// File is what a Writer writes to.
type File interface {
	io.Writer
	io.WriterAt
}

// Writer writes an index, section after section: Names, then AddPackage for
// each package by rising hash, then AddHole for each hole by its number, then
// Finish.
type Writer struct {
	file    File
	buf     *bufio.Writer
	sum     hash.Hash
	page    []byte // the page that is being filled
	crcs    []uint32
	at      uint64
	spans   [sections]span
	current section
	// the table of the section that is being written
	hashes  []uint64
	offsets []uint32
	scratch []byte
}

// NewWriter writes to an empty file.
func NewWriter(file File) (*Writer, error) {
	if _, err := file.Write(make([]byte, pageSize)); err != nil {
		return nil, fmt.Errorf("write the index: %w", err)
	}
	w := &Writer{file: file, sum: sha256.New(), page: make([]byte, 0, pageSize), at: pageSize}
	w.buf = bufio.NewWriterSize(file, 1<<18)
	// The header's page has no sum here; it has one of its own.
	w.crcs = append(w.crcs, 0)
	w.spans[secNames].off = w.at
	return w, nil
}

// Name is one name and the numbers of the holes that it names, ascending.
type Name struct {
	Text  string
	Holes []uint32
}

// Names writes all names and returns their refs in the order of names.
func (w *Writer) Names(names []Name) ([]uint32, error) {
	order := make([]int, len(names))
	hashes := make([]uint64, len(names))
	for i := range names {
		order[i], hashes[i] = i, Hash(names[i].Text)
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case hashes[a] != hashes[b]:
			if hashes[a] < hashes[b] {
				return -1
			}
			return 1
		case names[a].Text < names[b].Text:
			return -1
		}
		return 1
	})
	refs := make([]uint32, len(names))
	for _, i := range order {
		b := wire.String(w.scratch[:0], names[i].Text)
		b = wire.Ascending(b, names[i].Holes)
		ref, err := w.record(hashes[i], b)
		if err != nil {
			return nil, err
		}
		refs[i] = ref
	}
	return refs, w.endHashed(secNameTable, secPackages)
}

// AddPackage writes a package and returns its ref. Packages must come by rising
// Hash(Family, Name).
func (w *Writer) AddPackage(p *Package) (uint32, error) {
	hash := Hash(p.Family, p.Name)
	if n := len(w.hashes); n > 0 && w.hashes[n-1] > hash {
		return 0, errors.New("packages do not come by rising hash")
	}
	return w.record(hash, appendPackage(nil, p))
}

// EndPackages ends the packages.
func (w *Writer) EndPackages() error { return w.endHashed(secPackageTable, secHoles) }

// AddHole writes the next hole. names are the refs of its names, the
// best-known first.
func (w *Writer) AddHole(h *Hole, names []uint32) error {
	_, err := w.record(0, appendHole(w.scratch[:0], h, names))
	return err
}

// Finish writes what is left and returns the revision.
func (w *Writer) Finish(meta *Meta, built time.Time) (touchstone.Digest, error) {
	w.next(secHoleTable)
	w.writeOffsets(w.offsets)
	w.next(secMeta)
	b, err := json.Marshal(meta)
	if err != nil {
		return "", fmt.Errorf("write the index: %w", err)
	}
	w.write(b)
	w.next(secSums)
	w.endPage()
	sums := make([]byte, 0, 4*len(w.crcs))
	for _, c := range w.crcs {
		sums = binary.LittleEndian.AppendUint32(sums, c)
	}
	h := header{built: built, sumsCRC: crc32.Checksum(sums, castagnoli())}
	w.write(sums)
	w.spans[secSums].len = uint64(len(sums))
	if err := w.buf.Flush(); err != nil {
		return "", fmt.Errorf("write the index: %w", err)
	}
	if w.at > longestFile {
		return "", fmt.Errorf("write the index: %d bytes are more than an index can hold\nhint: import fewer ecosystems", w.at)
	}
	h.size, h.spans = w.at, w.spans
	w.sum.Sum(h.revision[:0])
	if _, err := w.file.WriteAt(h.encode(), 0); err != nil {
		return "", fmt.Errorf("write the index: %w", err)
	}
	return touchstone.Digest(fmt.Sprintf("sha256:%x", h.revision)), nil
}

// record writes one record of the current section and returns its offset there.
func (w *Writer) record(hash uint64, b []byte) (uint32, error) {
	off := w.at - w.spans[w.current].off
	if off+uint64(len(b)) >= longestFile {
		return 0, errors.New("write the index: more advisories than an index can hold\nhint: import fewer ecosystems")
	}
	w.hashes = append(w.hashes, hash)
	w.offsets = append(w.offsets, uint32(off))
	w.write(b)
	w.scratch = b[:0]
	return uint32(off), nil
}

// endHashed ends a section whose records are found by hash and writes its table.
func (w *Writer) endHashed(table, following section) error {
	length := uint32(w.at - w.spans[w.current].off)
	bits := bucketBits(len(w.hashes))
	starts := make([]uint32, 1<<bits)
	i := 0
	for b := range starts {
		for i < len(w.hashes) && bucketOf(w.hashes[i], bits) < b {
			i++
		}
		starts[b] = length
		if i < len(w.hashes) {
			starts[b] = w.offsets[i]
		}
	}
	w.next(table)
	w.writeOffsets(starts)
	w.next(following)
	w.hashes, w.offsets = nil, nil
	return nil
}

func (w *Writer) writeOffsets(list []uint32) {
	b := make([]byte, 0, 4*len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	w.write(b)
}

func (w *Writer) next(s section) {
	w.spans[w.current].len = w.at - w.spans[w.current].off
	w.current = s
	w.spans[s].off = w.at
}

// write appends to the file; bufio keeps its error until Flush.
func (w *Writer) write(b []byte) {
	_, _ = w.buf.Write(b)
	_, _ = w.sum.Write(b)
	w.at += uint64(len(b))
	for len(b) > 0 {
		n := min(pageSize-len(w.page), len(b))
		w.page = append(w.page, b[:n]...)
		b = b[n:]
		if len(w.page) == pageSize {
			w.endPage()
		}
	}
}

func (w *Writer) endPage() {
	if len(w.page) > 0 {
		w.crcs = append(w.crcs, crc32.Checksum(w.page, castagnoli()))
		w.page = w.page[:0]
	}
}
