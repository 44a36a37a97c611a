//go:build linux

package fanotify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// scan marks what has been mounted and forgets what is gone. The caller holds the
// lock of the space.
func (l *Layer) scan(sp *space) error {
	if sp.mounts == nil || l.closed.Load() {
		return nil
	}
	lines, cut, err := readMounts(sp.info, l.cfg.Mounts)
	if err != nil {
		return err
	}
	if cut {
		l.troubleOnce(sp.subject, fmt.Sprintf("it has more than %d mounts; what is executed from the others is not asked about", l.cfg.Mounts))
	}
	host, err := l.systems.now()
	if err != nil {
		return err
	}
	byID := make(map[uint64]*mountLine, len(lines))
	for i := range lines {
		byID[lines[i].id] = &lines[i]
	}
	gone := make(map[uint64]*mount)
	for id, m := range sp.mounts {
		if line := byID[id]; line == nil || line.point != m.point {
			gone[m.unique] = m
			delete(sp.mounts, id)
		}
	}
	l.table.drop(gone)
	root := sp.subject.root.Load()
	if i := slices.IndexFunc(lines, func(m mountLine) bool { return m.point == "/" }); root == 0 && i >= 0 {
		root = lines[i].dev
		sp.subject.root.Store(root) // nothing else is looked at before its own
	}
	for i := range lines {
		if err := l.take(sp, &lines[i], host, outOfReach(&lines[i], root, host, byID)); err != nil {
			return err
		}
	}
	return nil
}

// take puts a mark on one mount, if it has none yet. Only the root must be marked;
// what else cannot be is told.
func (l *Layer) take(sp *space, line *mountLine, host map[uint64]bool, beyond string) error {
	old := sp.mounts[line.id]
	if old != nil && old.scope == scopeNone {
		return nil
	}
	m := l.plan(sp, line, host, beyond)
	if m.scope != scopeNone {
		marked, err := l.mark(sp.root, m, old, line)
		switch {
		case errors.Is(err, errOther):
			return nil // what lies below another mount is out of reach for everybody
		case err != nil && line.point == "/":
			return fmt.Errorf("marking its root: %w", err)
		case err != nil:
			m.scope, m.problem = scopeNone, err.Error()
		default:
			m = marked
		}
	}
	sp.mounts[line.id] = m
	if sentence := m.refused(); sentence != "" {
		l.cfg.Trouble(sp.subject.ID, sentence)
	}
	return nil
}

// readMounts reads a mountinfo from its beginning, up to a number of mounts.
func readMounts(fd, most int) (lines []mountLine, cut bool, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(descriptor(fd), 0, 1<<40), 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if len(lines) == most {
				return lines, true, nil
			}
			m, bad := parseMount(bytes.TrimSuffix(line, []byte("\n")))
			if bad != nil {
				return nil, false, fmt.Errorf("reading mountinfo: %w", bad)
			}
			lines = append(lines, m)
		}
		if err == io.EOF {
			return lines, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("reading mountinfo: %w", err)
		}
	}
}

// descriptor is an io.ReaderAt of a bare descriptor.
type descriptor int

func (d descriptor) ReadAt(b []byte, offset int64) (int, error) {
	n, err := readAt(int(d), b, offset)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}
