package manifest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"touchstone.dev/touchstone"
)

// Writer streams a manifest out. Entries must be added in order; Close ends it.
type Writer struct {
	out     io.Writer
	block   []byte
	inBlock int
	index   []byte
	offset  uint64
	before  Entry // path and kind of the entry before
	summary touchstone.ManifestSummary
	started bool
	err     error
}

// NewWriter returns a writer to out, which is written in blocks of some
// kilobytes and needs no buffer.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Add appends an entry, which it does not keep. An entry out of order, without a
// path or with an absurd one is an error, after which the writer is useless.
func (w *Writer) Add(e *Entry) error {
	switch {
	case w.err != nil:
		return w.err
	case !e.valid():
		w.err = absurd(e)
		return w.err
	case w.started && compareEntries(&w.before, e) >= 0:
		w.err = fmt.Errorf("writing the manifest: %.200q comes after %.200q", e.Path, w.before.Path)
		return w.err
	}
	var before []byte
	if w.inBlock > 0 {
		before = w.before.Path
	}
	w.block = appendEntry(w.block, before, e)
	w.before.Path = append(w.before.Path[:0], e.Path...)
	w.before.Kind = e.Kind
	w.started = true
	w.inBlock++
	w.summary.Files++
	if e.Kind == Regular {
		w.summary.Bytes += e.Size
		if e.Exec != ExecNone {
			w.summary.Executables++
		}
	}
	if w.inBlock == blockLength {
		w.flush()
	}
	return w.err
}

// Close writes what is left. It returns what the manifest holds; the digest of
// the blob is for whoever owns the output to say.
func (w *Writer) Close() (touchstone.ManifestSummary, error) {
	w.flush()
	if w.err != nil {
		return touchstone.ManifestSummary{}, w.err
	}
	tail := w.index
	blocks := len(w.index) / indexSize
	for _, v := range []uint64{w.offset, uint64(blocks), uint64(w.summary.Files), uint64(w.summary.Executables), uint64(w.summary.Bytes)} {
		tail = binary.LittleEndian.AppendUint64(tail, v)
	}
	tail = binary.LittleEndian.AppendUint32(tail, crc32.Checksum(tail, castagnoli()))
	tail = append(tail, magic...)
	_, w.err = w.out.Write(tail)
	return w.summary, w.err
}

func (w *Writer) flush() {
	if w.inBlock == 0 || w.err != nil {
		return
	}
	w.index = binary.LittleEndian.AppendUint64(w.index, w.offset)
	w.index = binary.LittleEndian.AppendUint32(w.index, uint32(len(w.block)))
	w.index = binary.LittleEndian.AppendUint32(w.index, crc32.Checksum(w.block, castagnoli()))
	_, w.err = w.out.Write(w.block)
	w.offset += uint64(len(w.block))
	w.block, w.inBlock = w.block[:0], 0
}

// castagnoli returns the table of CRC-32C, which the standard library makes once
// and computes by the processor's own instruction.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// valid reports whether decodeEntry would take the entry again.
func (e *Entry) valid() bool {
	return len(e.Path) > 0 && len(e.Path) <= maxPath && len(e.Link) <= maxLink &&
		e.Kind < kinds && e.Exec < execs && e.Size >= 0 && e.Mode <= 0o7777
}

// absurd says that an entry is not valid.
func absurd(e *Entry) error {
	return fmt.Errorf("writing the manifest: the entry %.200q cannot be kept", e.Path)
}
