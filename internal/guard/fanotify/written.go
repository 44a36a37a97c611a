//go:build linux

package fanotify

import (
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// gathered puts together what was written, bounded for each subject.
type gathered struct {
	mu   sync.Mutex
	by   map[uint64]*writes
	some chan struct{} // has one element when there is something
}

type writes struct {
	paths map[string]bool
	any   bool
}

// mostPaths is how many paths of one subject are kept between two deliveries.
const mostPaths = 256

func (g *gathered) init() {
	g.by = make(map[uint64]*writes)
	g.some = make(chan struct{}, 1)
}

// add keeps a path; none means any.
func (g *gathered) add(subject uint64, path string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.by[subject]
	if w == nil {
		w = &writes{}
		g.by[subject] = w
	}
	switch {
	case w.any || w.paths[path]:
	case path == "" || len(w.paths) == mostPaths:
		w.paths, w.any = nil, true
	default:
		if w.paths == nil {
			w.paths = make(map[string]bool)
		}
		w.paths[path] = true
	}
	select {
	case g.some <- struct{}{}:
	default:
	}
}

func (g *gathered) forget(subject uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.by, subject)
}

func (g *gathered) take() map[uint64]*writes {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.by
	g.by = make(map[uint64]*writes)
	return all
}

// told reads the events of the second group. While it has a file open, its file
// system cannot be unmounted: hence a thread of its own, and quickly.
func (l *Layer) told() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 64*eventSize)
	for !l.closed.Load() {
		n, err := unix.Read(l.tell, buf)
		switch err {
		case nil:
			l.toldOf(buf[:n])
		case unix.EAGAIN:
			l.wait(l.tell)
		default:
			// EINTR, or a file that cannot be opened any more.
		}
	}
}

func (l *Layer) toldOf(b []byte) {
	for len(b) > 0 {
		e, rest, err := nextEvent(b)
		if err != nil {
			l.cfg.Log.Error("reading fanotify events", "error", err)
			return
		}
		b = rest
		if e.mask&unix.FAN_Q_OVERFLOW != 0 {
			l.counts.overflows.Add(1)
			l.flush()
			for _, s := range l.table.all() {
				l.writes.add(s.ID, "")
			}
			continue
		}
		if e.fd < 0 {
			continue
		}
		if e.pid != l.self {
			l.written(e)
		}
		_ = unix.Close(e.fd)
	}
}

// written notes that a file was closed after it had been open for writing.
func (l *Layer) written(e event) {
	l.askAgain(e.fd)
	var st unix.Statx_t
	if statFile(e.fd, l.mask(), &st) != nil || st.Nlink == 0 {
		return
	}
	at, ok := l.find(&st)
	if !ok || l.cfg.Written == nil {
		return
	}
	if l.cfg.Writer != nil {
		l.cfg.Writer(at.subject.ID, e.pid, stampOf(&st))
	}
	if path, err := pathOf(e.fd); err == nil && !strings.HasSuffix(path, " (deleted)") {
		l.writes.add(at.subject.ID, path)
	}
}

// deliver tells what was gathered, at intervals.
func (l *Layer) deliver() {
	for !l.closed.Load() {
		select {
		case <-l.writes.some:
			l.pause(l.cfg.Gather)
			for id, w := range l.writes.take() {
				out := Written{Subject: id, Any: w.any}
				for path := range w.paths {
					out.Paths = append(out.Paths, path)
				}
				l.cfg.Written(out)
			}
		case <-l.done:
		}
	}
}
