package inspect

import (
	"fmt"
	"sync"

	"touchstone.dev/touchstone"
)

// maxAlike is how many gaps of one kind and reader are told one by one in a
// layer; the rest are counted.
const maxAlike = 50

// gaps collects what could not be read in one layer. A stranger may cause a gap
// per file, so that their number is bounded; none is dropped without being
// counted. The zero value is empty and it may be used from many goroutines.
type gaps struct {
	mu    sync.Mutex
	list  []touchstone.Gap
	alike map[alike]int
}

type alike struct {
	kind   touchstone.GapKind
	reader string
}

func (g *gaps) add(gap touchstone.Gap) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.alike == nil {
		g.alike = map[alike]int{}
	}
	k := alike{gap.Kind, gap.Reader}
	if g.alike[k]++; g.alike[k] > maxAlike {
		return
	}
	g.list = append(g.list, gap)
}

func (g *gaps) addf(kind touchstone.GapKind, path, reader, format string, args ...any) {
	g.add(touchstone.Gap{Kind: kind, Path: path, Reader: reader, Reason: fmt.Sprintf(format, args...)})
}

// all returns the gaps, and one more for each sort of which there were too many.
func (g *gaps) all() []touchstone.Gap {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.list
	for k, n := range g.alike {
		if n > maxAlike {
			out = append(out, touchstone.Gap{Kind: k.kind, Reader: k.reader, Reason: fmt.Sprintf("%d more like these", n-maxAlike)})
		}
	}
	sortGaps(out)
	return out
}
