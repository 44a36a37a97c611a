package gate

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"touchstone.dev/touchstone"
)

// The bounds of an event.
const (
	mostEvent  = 256 << 10 // bytes, as JSON
	mostName   = 1 << 10   // bytes in what names something
	mostTree   = 256       // processes
	mostSteps  = 64
	mostAhead  = 24 * time.Hour // how far a node's clock may be ahead
	mostBehind = 400 * 24 * time.Hour
)

// wrong says why it is no event of this guard's; empty where it is one.
func (s *sighting) wrong(e *touchstone.RuntimeEvent) string {
	id, err := ulid.ParseStrict(e.ID)
	if err != nil || id.String() != e.ID {
		return "its id is not a ULID"
	}
	if e.Node != s.by.Node {
		return fmt.Sprintf("it is of the node %.80q, and this guard is that of %s", e.Node, s.by.Node)
	}
	if e.Schema != touchstone.SchemaRuntimeEvent {
		return fmt.Sprintf("its schema is %.80q, and this server reads %s", e.Schema, touchstone.SchemaRuntimeEvent)
	}
	for _, at := range []time.Time{ulid.Time(id.Time()), e.At} {
		if age := s.g.now.Sub(at); age > mostBehind || age < -mostAhead {
			return fmt.Sprintf("it is of %s, and that is not now: is the node's clock right?", at.UTC().Format(time.RFC3339))
		}
	}
	if problem := unlike(e); problem != "" {
		return problem
	}
	data, err := json.Marshal(e)
	if err != nil || len(data) > mostEvent {
		return fmt.Sprintf("it has more than %d bytes", mostEvent)
	}
	r, w := &e.Running, &e.Running.Workload
	for _, name := range []string{e.Node, r.ID, r.Pod, r.PodUID, r.Namespace, w.Kind, w.Name, w.Container, e.Artifact.Name, string(e.Artifact.Digest), e.Place.Environment, e.Reason.Rule, e.ReplacedBy} {
		if len(name) > mostName || strings.ContainsRune(name, 0) {
			return fmt.Sprintf("a name in it has more than %d bytes, or a NUL", mostName)
		}
	}
	return ""
}

// unlike says how an event contradicts itself.
func unlike(e *touchstone.RuntimeEvent) string {
	about, want := 0, false
	for _, part := range []struct {
		is   bool
		kind touchstone.RuntimeEventKind
	}{
		{e.Execution != nil, touchstone.EventRunUnknown}, {e.Drift != nil, touchstone.EventChange},
		{e.Login != nil, touchstone.EventLogin}, {e.Trouble != "", touchstone.EventGuard},
	} {
		if part.is {
			about++
			want = want || part.kind == e.Kind
		}
	}
	replaced := e.Kind == touchstone.EventReplaced
	switch {
	case about > 1 || !replaced && !want:
		return fmt.Sprintf("it is of the kind %.40q and does not say what was seen", string(e.Kind))
	case e.Count < 1:
		return "it has no count"
	case len(e.Tree) > mostTree || len(e.Steps) > mostSteps:
		return fmt.Sprintf("it has more than %d processes or %d steps", mostTree, mostSteps)
	}
	switch e.Action {
	case "", touchstone.EffectNone, touchstone.EffectAlert, touchstone.EffectBlock, touchstone.EffectKill:
		return ""
	}
	return fmt.Sprintf("there is no action %.40q", string(e.Action))
}
