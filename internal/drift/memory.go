package drift

import (
	"errors"
	"os"
	"sort"

	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/manifest"
)

const (
	blockRecords = 64      // records that share prefixes
	inMemory     = 4 << 20 // bytes that are held before they go to a file
	writeAtOnce  = 256 << 10
)

// memory is what a scan leaves to the next one: records in order of path, in
// memory or, when they are many, in a temporary file that is mapped. Single paths
// that were checked since lie beside it as patches.
type memory struct {
	data    []byte
	blocks  []int // where each run of blockRecords begins in data
	mapping *blob.Mapping
	patches []patch // in order of path; none lies under another
}

// patch stands for all records at and under its path.
type patch struct {
	path []byte
	data []byte
}

const maxPatches = 256

func (m *memory) close() {
	if m.mapping != nil {
		m.mapping.Close()
	}
	*m = memory{}
}

// size is how many bytes it takes.
func (m *memory) size() int {
	n := len(m.data) + 8*len(m.blocks)
	for i := range m.patches {
		n += len(m.patches[i].path) + len(m.patches[i].data) + 48
	}
	return n
}

// patch puts records in the place of all at and under path. It reports false
// where another patch is in the way or there are too many of them: the memory
// must be folded first.
func (m *memory) patch(path, data []byte) bool {
	at := sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	if at > 0 && covers(m.patches[at-1].path, path) {
		return false
	}
	end := at
	for end < len(m.patches) && covers(path, m.patches[end].path) {
		end++
	}
	if end == at && len(m.patches) >= maxPatches {
		return false
	}
	m.patches = append(m.patches[:at], append([]patch{{path, data}}, m.patches[end:]...)...)
	return true
}

// covered reports whether a patch covers more than path, so that a walk cannot
// start there.
func (m *memory) covered(path []byte) bool {
	at := sort.Search(len(m.patches), func(i int) bool { return manifest.Compare(m.patches[i].path, path) >= 0 })
	return at > 0 && covers(m.patches[at-1].path, path)
}

// fold writes patches and records into one. It does nothing where there are no
// patches.
func (m *memory) fold(temporary func() (*os.File, error)) error {
	if len(m.patches) == 0 {
		return nil
	}
	w := memoryWriter{temporary: temporary}
	for r := m.start(nil); r.ok; r.next() {
		if err := w.add(r.cur()); err != nil {
			return errors.Join(err, w.abandon())
		}
	}
	folded, err := w.close()
	if err != nil {
		return err
	}
	m.close()
	*m = folded
	return nil
}

// memoryWriter takes records in order of path.
type memoryWriter struct {
	temporary func() (*os.File, error) // nil means that all stays in memory
	buf       []byte
	file      *os.File // nil while all is in buf
	written   int      // bytes that went to file
	blocks    []int
	count     int
	before    []byte
}

func (w *memoryWriter) add(r *record) error {
	before := w.before
	if w.count%blockRecords == 0 {
		w.blocks = append(w.blocks, w.written+len(w.buf))
		before = nil
	}
	w.count++
	w.buf = appendRecord(w.buf, before, r)
	w.before = append(w.before[:0], r.path...)
	if w.temporary == nil || w.file == nil && len(w.buf) < inMemory || len(w.buf) < writeAtOnce {
		return nil
	}
	return w.flush()
}

func (w *memoryWriter) flush() error {
	if w.file == nil {
		f, err := w.temporary()
		if err != nil {
			return err
		}
		w.file = f
	}
	if _, err := w.file.Write(w.buf); err != nil {
		return err
	}
	w.written += len(w.buf)
	w.buf = w.buf[:0]
	if cap(w.buf) > 2*writeAtOnce {
		w.buf = nil
	}
	return nil
}

// close returns what was written. The writer is useless then.
func (w *memoryWriter) close() (memory, error) {
	if w.file == nil {
		return memory{data: append([]byte(nil), w.buf...), blocks: w.blocks}, nil
	}
	if err := w.flush(); err != nil {
		return memory{}, errors.Join(err, w.abandon())
	}
	mapping, err := blob.MapFile(w.file)
	if err != nil {
		return memory{}, errors.Join(err, w.abandon())
	}
	return memory{data: mapping.Bytes(), blocks: w.blocks, mapping: mapping}, w.abandon()
}

// abandon gives up the file.
func (w *memoryWriter) abandon() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}
