package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress is one line on a terminal that is written over and over, and nothing
// where nobody watches.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil shows nothing
	shown bool
	last  time.Time
}

// watch shows progress on stderr if that is a terminal.
func (p *program) watch() {
	f, ok := p.stderr.(*os.File)
	if ok && !p.settings.quiet && term.IsTerminal(int(f.Fd())) && p.getenv("TERM") != "dumb" {
		p.progress.out = f
	}
}

// show replaces the line, ten times a second at most.
func (p *progress) show(now time.Time, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out == nil || now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
}

// clear removes the line.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
