package guard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"touchstone.dev/touchstone"
)

// journal keeps what the guard tells, on its own disk: one JSON document a line,
// in segments of which the oldest go. Whoever sends events on reads from it, so
// that a server that is away loses none that still fits.
//
//	DIR/00000017.jsonl   segment; a later one has a higher number, whatever the clock says
//	DIR/sent             the segment and the offset up to which events were sent
type journal struct {
	dir string

	mu      sync.Mutex
	out     *os.File
	size    int64
	names   []string // of the segments, oldest first; the last is being written
	more    chan struct{}
	lost    int64 // events in segments that went before they were sent
	sentSeg string
	sentAt  int64
}

const (
	segmentBytes = 8 << 20
	mostSegments = 16
	mostLine     = 1 << 20
)

func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	j := &journal{dir: dir, more: make(chan struct{}, 1)}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".jsonl") {
			j.names = append(j.names, e.Name())
		}
	}
	slices.Sort(j.names)
	data, err := os.ReadFile(filepath.Join(dir, "sent"))
	if err == nil {
		_, _ = fmt.Sscanf(string(data), "%s %d", &j.sentSeg, &j.sentAt) // what cannot be read is sent again, and known there by its id
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return j, nil
}

// append writes the event.
func (j *journal) append(e *touchstone.RuntimeEvent) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing event %s: %w", e.ID, err)
	}
	line = append(line, '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.out == nil {
		if err := j.resume(); err != nil {
			return err
		}
	}
	if j.out == nil || j.size+int64(len(line)) > segmentBytes {
		if err := j.turn(); err != nil {
			return err
		}
	}
	n, err := j.out.Write(line)
	j.size += int64(n)
	if err != nil {
		if n > 0 {
			_ = j.out.Truncate(j.size - int64(n)) // half a line; a reader would skip it as well
			j.size -= int64(n)
		}
		return fmt.Errorf("writing event %s: %w", e.ID, err)
	}
	select {
	case j.more <- struct{}{}:
	default:
	}
	return nil
}

// resume goes on with the last segment, if there is one. A line that a crash has cut
// off is ended first, so that only it is lost.
func (j *journal) resume() error {
	if len(j.names) == 0 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(j.dir, j.names[len(j.names)-1]), os.O_APPEND|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // somebody has taken it away: the next is begun
		return nil
	}
	if err != nil {
		return fmt.Errorf("going on with the journal: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	end := []byte{'\n'}
	if err == nil && size > 0 {
		_, err = f.ReadAt(end, size-1)
	}
	if err == nil && end[0] != '\n' {
		size++
		_, err = f.Write([]byte{'\n'})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("going on with the journal: %w", err), f.Close())
	}
	j.out, j.size = f, size
	return nil
}

// turn begins a new segment, and lets the oldest go where there are too many.
func (j *journal) turn() error {
	if j.out != nil {
		_ = j.out.Sync()
		_ = j.out.Close()
		j.out = nil
	}
	var number int64
	if n := len(j.names); n > 0 {
		number, _ = strconv.ParseInt(strings.TrimSuffix(j.names[n-1], ".jsonl"), 10, 64)
	}
	name := fmt.Sprintf("%08d.jsonl", number+1)
	f, err := os.OpenFile(filepath.Join(j.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("beginning a segment of the journal: %w", err)
	}
	j.out, j.size, j.names = f, 0, append(j.names, name)
	for len(j.names) > mostSegments {
		gone := j.names[0]
		if gone >= j.sentSeg {
			j.lost += j.unsent(gone)
		}
		_ = os.Remove(filepath.Join(j.dir, gone))
		j.names = j.names[1:]
	}
	return nil
}

// unsent counts the events of a segment that were not sent.
func (j *journal) unsent(name string) int64 {
	data, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		return 0
	}
	if name == j.sentSeg {
		data = data[min(int64(len(data)), j.sentAt):]
	}
	return int64(bytes.Count(data, []byte{'\n'}))
}

// batch returns up to most events that were not sent, and what to hand to sent
// once they were.
func (j *journal) batch(most int) ([]touchstone.RuntimeEvent, position, error) {
	j.mu.Lock()
	names, at := slices.Clone(j.names), position{j.sentSeg, j.sentAt}
	j.mu.Unlock()
	for _, name := range names {
		if name < at.segment {
			continue
		}
		if name != at.segment {
			at = position{name, 0}
		}
		events, end, err := read(filepath.Join(j.dir, name), at.offset, most)
		if err != nil {
			return nil, at, err
		}
		at.offset = end
		if len(events) > 0 {
			return events, at, nil
		}
	}
	return nil, at, nil
}

// position is a place in the journal.
type position struct {
	segment string
	offset  int64
}

// sent notes that everything before the position was sent.
func (j *journal) sent(p position) error {
	j.mu.Lock()
	j.sentSeg, j.sentAt = p.segment, p.offset
	j.mu.Unlock()
	// Not synced: what is sent twice is known by its id.
	return os.WriteFile(filepath.Join(j.dir, "sent"), fmt.Appendf(nil, "%s %d\n", p.segment, p.offset), 0o600)
}

// read reads whole lines of a segment from an offset, and returns where they end.
// A line that is no event was cut off by a crash, and is skipped.
func read(path string, from int64, most int) ([]touchstone.RuntimeEvent, int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) { // it went meanwhile
		return nil, from, nil
	}
	if err != nil {
		return nil, from, fmt.Errorf("reading the journal: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(from, 0); err != nil {
		return nil, from, fmt.Errorf("reading the journal: %w", err)
	}
	in := bufio.NewReaderSize(f, 64<<10)
	var out []touchstone.RuntimeEvent
	for len(out) < most {
		line, err := in.ReadBytes('\n')
		if err != nil { // the end, or a line that is being written
			break
		}
		from += int64(len(line))
		var e touchstone.RuntimeEvent
		if len(line) > mostLine || json.Unmarshal(line, &e) != nil || e.ID == "" {
			continue
		}
		out = append(out, e)
	}
	return out, from, nil
}

// find returns the event with the id, which may be shortened as long as it names
// one alone.
func (j *journal) find(id string) (*touchstone.RuntimeEvent, error) {
	var found *touchstone.RuntimeEvent
	err := j.walk(func(e *touchstone.RuntimeEvent) bool {
		if !strings.HasPrefix(e.ID, strings.ToUpper(id)) {
			return true
		}
		if found != nil && found.ID != e.ID {
			found = nil
			return false
		}
		found = e
		return true
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("the journal holds no event %.40q, or several that begin so\nhint: touchstone guard status lists the last ones", id)
	}
	return found, nil
}

// last returns the newest events, at most so many, oldest first.
func (j *journal) last(most int) ([]touchstone.RuntimeEvent, error) {
	var out []touchstone.RuntimeEvent
	err := j.walk(func(e *touchstone.RuntimeEvent) bool {
		if out = append(out, *e); len(out) > 2*most {
			out = append(out[:0], out[len(out)-most:]...)
		}
		return true
	})
	return out[max(0, len(out)-most):], err
}

// walk calls visit with every event, oldest first, until it returns false.
func (j *journal) walk(visit func(*touchstone.RuntimeEvent) bool) error {
	return j.walkFrom(mostSegments, visit)
}

// walkFrom is walk over so many of the newest segments.
func (j *journal) walkFrom(segments int, visit func(*touchstone.RuntimeEvent) bool) error {
	j.mu.Lock()
	names := slices.Clone(j.names[max(0, len(j.names)-segments):])
	j.mu.Unlock()
	for _, name := range names {
		for at := int64(0); ; {
			events, end, err := read(filepath.Join(j.dir, name), at, 256)
			if err != nil {
				return err
			}
			for i := range events {
				if !visit(&events[i]) {
					return nil
				}
			}
			if len(events) == 0 {
				break
			}
			at = end
		}
	}
	return nil
}

// takeLost returns how many events went unsent since it was asked last.
func (j *journal) takeLost() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := j.lost
	j.lost = 0
	return n
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.out == nil {
		return nil
	}
	err := errors.Join(j.out.Sync(), j.out.Close())
	j.out = nil
	return err
}
