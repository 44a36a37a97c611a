package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/record"
)

// The kinds of fact that the door writes.
const (
	factSeen     = "seen"
	factScan     = "scan"
	factWaiting  = "waiting"
	factDecision = "decision"
	factRan      = "ran"
	factPin      = "pin"
	factRunning  = "running"
	factFinding  = "finding"
	factMode     = "mode"
)

// Seen says that an artifact was inspected: one name with one digest.
type Seen struct {
	Repository string            `json:"repository"` // with the registry, without tag and digest
	Digest     touchstone.Digest `json:"digest"`
	At         time.Time         `json:"at"`
	// Platforms has one for each platform of an index that places can run, and one
	// for an image.
	Platforms []SeenPlatform `json:"platforms"`
	// For are the platforms of the nodes that an index was read for.
	For []string `json:"for,omitempty"`

	seq uint64 // of the entry that wrote it
}

// SeenPlatform is one image that was inspected.
type SeenPlatform struct {
	Platform string            `json:"platform"`
	Digest   touchstone.Digest `json:"digest"` // of its manifest
	Config   touchstone.Digest `json:"config,omitempty"`
	Evidence touchstone.Digest `json:"evidence"` // id
}

// artifact is the image as a decision names it.
func (s *Seen) artifact(n named, p *SeenPlatform) touchstone.Artifact {
	a := touchstone.Artifact{Name: n.name(), Kind: touchstone.KindImage, Digest: p.Digest, Platform: p.Platform}
	if p.Digest != s.Digest {
		a.Index = s.Digest
	}
	return a
}

// suffices reports whether everything was read that nodes of the platforms run: an
// index has an image for each, and nodes of another may have come since.
func (s *Seen) suffices(platforms []string) bool {
	if len(s.Platforms) == 1 && s.Platforms[0].Digest == s.Digest {
		return true
	}
	return !slices.ContainsFunc(platforms, func(p string) bool { return !slices.Contains(s.For, p) })
}

// look returns what was seen under the key, or nil.
func (d *Door) look(ctx context.Context, key string) (*Seen, error) {
	if s, ok := d.seen.get(key); ok {
		return s, nil
	}
	s, fact, err := record.Get[Seen](ctx, d.c.Store, factSeen, key)
	if errors.Is(err, record.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking whether %s was seen: %w", key, err)
	}
	if !s.suffices(d.c.Platforms) {
		return nil, nil
	}
	s.seq = fact.Seq
	d.keepSeen(key, &s)
	return &s, nil
}

func (d *Door) keepSeen(key string, s *Seen) { d.seen.put(key, s, int64(300+300*len(s.Platforms))) }

// errLost says that evidence is not there any more: the artifact must be seen
// again.
var errLost = errors.New("the evidence is not there any more")

// inspected returns the evidence of every platform that was seen.
func (d *Door) inspected(s *Seen, n named) ([]Inspected, error) {
	out := make([]Inspected, len(s.Platforms))
	for i := range s.Platforms {
		p := &s.Platforms[i]
		e, ok := d.evidence.get(string(p.Evidence))
		if !ok {
			var err error
			e, err = d.c.Gate.Inspector.Evidence(p.Evidence)
			if errors.Is(err, blob.ErrAbsent) {
				return nil, errLost
			}
			if err != nil {
				return nil, err
			}
			d.evidence.put(string(p.Evidence), e, weight(e))
		}
		out[i] = Inspected{Artifact: s.artifact(n, p), Evidence: e}
	}
	return out, nil
}

// weight is about the bytes that evidence takes in memory.
func weight(e *touchstone.Evidence) int64 {
	n := 4096 + 700*len(e.Packages) + 300*(len(e.Gaps)+len(e.Secrets)+len(e.Pins)+len(e.Layers))
	s := &e.Surface
	for _, list := range [][]string{s.Setuid, s.Capabilities, s.Shells, s.PackageManagers, s.Interpreters, s.NetworkTools, s.DebugTools,
		s.LoginDaemons, s.WorldWritable, s.Needed, s.Unneeded, e.Configuration.History, e.Configuration.Environment} {
		n += 80 * len(list)
	}
	return int64(n)
}
