package manifest

import (
	"container/heap"
	"os"
	"slices"

	"touchstone.dev/touchstone/internal/blob"
)

// Sorter takes entries in any order and writes them out sorted, in bounded
// memory: what does not fit is written in sorted runs to temporary files and
// merged. Of several entries with one path the last added wins, marks apart.
type Sorter struct {
	// Temporary makes an empty file that nobody else sees, unlinked where
	// that is possible. The sorter closes it.
	Temporary func() (*os.File, error)
	// ChunkBytes is how much is held before it is written out; 8 MiB when zero.
	ChunkBytes int
	// Duplicate is told of each entry that a later one of its path replaces;
	// both hold only during the call. It may be nil.
	Duplicate func(replaced, by *Entry)
	// Amend may change anything but the path and kind of an entry before it is
	// written. It may be nil, and may be called twice for one entry.
	Amend func(*Entry)

	arena []byte
	items []item
	runs  []run
}

// item is one entry in the arena, encoded without a shared prefix.
type item struct{ start, end uint32 }

// run is a sorted manifest in a mapped temporary file.
type run struct{ mapping *blob.Mapping }

// Add takes an entry and keeps none of its memory. An entry without a path or
// with an absurd one is an error.
func (s *Sorter) Add(e *Entry) error {
	if !e.valid() {
		return absurd(e)
	}
	limit := s.ChunkBytes
	if limit == 0 {
		limit = 8 << 20
	}
	if len(s.arena) > 0 && len(s.arena)+len(s.items)*8+len(e.Path)+len(e.Link)+64 > limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	start := len(s.arena)
	s.arena = appendEntry(s.arena, nil, e)
	s.items = append(s.items, item{uint32(start), uint32(len(s.arena))})
	return nil
}

// WriteTo writes all entries to w in order, and does not close it. The sorter is
// then empty.
func (s *Sorter) WriteTo(w *Writer) error {
	defer s.Close()
	if len(s.runs) == 0 {
		return s.writeChunk(w)
	}
	if err := s.spill(); err != nil {
		return err
	}
	return s.merge(w)
}

// Close gives up what the sorter holds. Closing twice is harmless.
func (s *Sorter) Close() {
	for _, r := range s.runs {
		r.mapping.Close()
	}
	s.arena, s.items, s.runs = nil, nil, nil
}

func (s *Sorter) decode(it item, e *Entry) error {
	e.Path = e.Path[:0]
	_, err := decodeEntry(s.arena[it.start:it.end], e)
	return err
}

// path returns the path of an item without decoding the rest.
func (s *Sorter) key(it item) (path []byte, class int) {
	d := decoder{src: s.arena[it.start:it.end]}
	d.uvarint()
	path = d.bytes(d.uvarint())
	kind := d.bytes(1)
	e := Entry{Kind: Kind(kind[0] & 0xf)}
	return path, e.class()
}

// writeChunk writes the entries in memory.
func (s *Sorter) writeChunk(w *Writer) error {
	slices.SortStableFunc(s.items, func(a, b item) int {
		pathA, classA := s.key(a)
		pathB, classB := s.key(b)
		if c := Compare(pathA, pathB); c != 0 {
			return c
		}
		return classA - classB
	})
	last := newest{w: w, duplicate: s.Duplicate, amend: s.Amend}
	var e Entry
	for _, it := range s.items {
		if err := s.decode(it, &e); err != nil {
			return err
		}
		if err := last.add(&e); err != nil {
			return err
		}
	}
	s.items, s.arena = s.items[:0], s.arena[:0]
	return last.flush()
}

// spill writes the entries in memory as a run.
func (s *Sorter) spill() error {
	if len(s.items) == 0 {
		return nil
	}
	f, err := s.Temporary()
	if err != nil {
		return err
	}
	defer f.Close()
	w := NewWriter(f)
	if err := s.writeChunk(w); err != nil {
		return err
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	m, err := blob.MapFile(f)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run{m})
	return nil
}

// merge writes the runs as one. A later run holds later entries.
func (s *Sorter) merge(w *Writer) error {
	s.arena, s.items = nil, nil
	h := make(runHeap, 0, len(s.runs))
	for i, r := range s.runs {
		reader, err := Open(r.mapping.Bytes())
		if err != nil {
			return err
		}
		c := reader.Start()
		if c.Next() {
			h = append(h, runCursor{c, i})
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	heap.Init(&h)
	last := newest{w: w, duplicate: s.Duplicate, amend: s.Amend}
	for len(h) > 0 {
		c := h[0].Cursor
		if err := last.add(c.Entry()); err != nil {
			return err
		}
		if c.Next() {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	return last.flush()
}

// newest passes entries on to a writer, of equal ones the last.
type newest struct {
	w         *Writer
	duplicate func(replaced, by *Entry)
	amend     func(*Entry)
	held      Entry
	holds     bool
}

func (n *newest) add(e *Entry) error {
	if n.holds {
		if compareEntries(&n.held, e) != 0 {
			if err := n.write(); err != nil {
				return err
			}
		} else if n.duplicate != nil {
			n.duplicate(&n.held, e)
		}
	}
	path, link := n.held.Path[:0], n.held.Link[:0]
	path, link = append(path, e.Path...), append(link, e.Link...)
	n.held = *e
	n.held.Path, n.held.Link = path, link
	n.holds = true
	return nil
}

func (n *newest) flush() error {
	if !n.holds {
		return nil
	}
	n.holds = false
	return n.write()
}

func (n *newest) write() error {
	if n.amend != nil {
		n.amend(&n.held)
	}
	return n.w.Add(&n.held)
}

type runCursor struct {
	*Cursor
	run int
}

type runHeap []runCursor

func (h runHeap) Len() int { return len(h) }

func (h runHeap) Less(i, j int) bool {
	if c := compareEntries(h[i].Entry(), h[j].Entry()); c != 0 {
		return c < 0
	}
	return h[i].run < h[j].run
}

func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *runHeap) Push(x any) { *h = append(*h, x.(runCursor)) }

func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
