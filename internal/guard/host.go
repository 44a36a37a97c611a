package guard

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/drift"
)

// Host is the node itself, held against its golden image: a machine that nobody
// changes either.
type Host struct {
	Artifact touchstone.Artifact // the golden image
	// Manifest writes the list of the golden image's files.
	Manifest func(ctx context.Context, to io.Writer) error
	// Root is the root of the machine as this process sees it; "/" when empty.
	Root string
}

func (h *Host) key() touchstone.Digest {
	return touchstone.DigestOf(fmt.Appendf(nil, "golden %s %s", h.Artifact.Digest, h.Artifact.Label()))
}

// root is where this process finds the machine's files.
func (h *Host) root() string { return cmp.Or(h.Root, "/") }

// guardHost watches the machine until the context ends.
func (g *Guard) guardHost(ctx context.Context) error {
	s := &subject{id: g.hostID, host: true, running: touchstone.Running{ID: "host"}, started: bootTime(), artifact: g.c.Host.Artifact}
	g.mu.Lock()
	g.subjects[s.id] = s
	g.mu.Unlock()
	s.settle(g.ground.Load(), g.c.Node)
	g.begin(s)
	<-ctx.Done()
	return nil
}

// hostScanners compares the machine's root with its golden image. Where files come
// and go only what can be executed counts.
func (g *Guard) hostScanners(s *subject, config drift.Config) ([]*drift.Scanner, error) {
	declared, usual := config.Writable, drift.Patterns(drift.HostWritable())
	config.Writable = func(p string) bool { return usual(p) || declared(p) }
	config.Skip = drift.Patterns(drift.HostSkipped())
	sc, err := drift.NewScanner(drift.Tree{Form: drift.Folder, Path: g.c.Host.root()}, config)
	if err != nil {
		return nil, fmt.Errorf("comparing %s: %w", s.name(), err)
	}
	return []*drift.Scanner{sc}, nil
}
