package admit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// Annotation breaks the glass; its value is the reason.
const Annotation = "touchstone.dev/break-glass"

// SchemaGlass is the schema of a Glass.
const SchemaGlass = "touchstone.dev/glass/v1"

// KindGlass is the kind of the facts about broken glass, one for each workload under
// "cluster/namespace/kind/name", the last to be broken; and, as "break-glass", of
// the entries. Both hold a Glass.
const (
	KindGlass  = "glass"
	EntryGlass = "break-glass"
)

// Broken is one container, or one volume that is an image, of a workload for which
// the glass is broken: with what it sets, without the secrets of its command.
type Broken struct {
	Container string              `json:"container"`
	Digest    touchstone.Digest   `json:"digest"`
	Settings  touchstone.Settings `json:"settings,omitzero"`
}

// Lasts is how long a break-glass holds.
const Lasts = time.Hour

// Glass is one break-glass: who let which digests into which workload against the
// rules, why, and until when.
type Glass struct {
	Schema    string              `json:"schema"` // touchstone.dev/glass/v1
	ID        string              `json:"id"`     // of the entry
	Cluster   string              `json:"cluster,omitempty"`
	Namespace string              `json:"namespace"`
	Workload  touchstone.Workload `json:"workload"` // without a container
	Digests   []touchstone.Digest `json:"digests"`
	// Broken says for each container what may start so.
	Broken []Broken  `json:"broken"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`

	dryRun bool
}

// history is what a decision looks at; nil of nil.
func (g *Glass) history() *touchstone.Glass {
	if g == nil {
		return nil
	}
	return &touchstone.Glass{By: g.By, Reason: g.Reason, Until: g.Until}
}

// covers reports whether the glass was broken for the digest in the container that
// is asked about, and for all that this sets: who may change a workload may not
// make more of somebody else's right than that person has looked at.
func (g *Glass) covers(q *touchstone.Question, d touchstone.Digest) bool {
	if g == nil || d == "" {
		return false
	}
	now := gate.Redacted(*q).Settings
	return slices.ContainsFunc(g.Broken, func(b Broken) bool {
		return b.Container == q.Workload.Container && b.Digest == d && within(&now, &b.Settings)
	})
}

// within reports whether settings ask for no more than others, and run the same.
// What others put into a pod on its way may make less of it: another user than the
// image's, but not root.
func within(s, most *touchstone.Settings) bool {
	beyond := func(list, most []string) bool {
		return slices.ContainsFunc(list, func(one string) bool { return !slices.Contains(most, one) })
	}
	user, _, _ := strings.Cut(s.User, ":")
	return slices.Equal(s.Command, most.Command) && slices.Equal(s.Args, most.Args) &&
		(s.User == most.User || most.User == "" && user != "0") && (s.NotRoot || !most.NotRoot) && (most.Privileged || !s.Privileged) &&
		!beyond(s.Capabilities, most.Capabilities) && !beyond(s.Host, most.Host)
}

// key names what the glass is broken for.
func (w *Webhook) key(namespace string, of touchstone.Workload) string {
	return strings.Join([]string{w.c.Name, namespace, of.Kind, of.Name}, "/")
}

// annotated reports whether the annotation comes with this write, or changes.
func (r *request) annotated() bool {
	reason, has := r.Object.Metadata.Annotations[Annotation]
	before, had := r.Old.Metadata.Annotations[Annotation]
	return has && !(r.Operation == "UPDATE" && had && before == reason)
}

// breaks looks whether a person breaks the glass by this write: the annotation is
// new or has another reason, on something that nothing keeps. Who may not is
// refused, even if nothing else is wrong: nobody is to find out later that it did
// not count.
func (w *Webhook) breaks(ctx context.Context, r *request, bare bool) (*Glass, *answer, error) {
	if !bare || !r.annotated() {
		return nil, nil, nil
	}
	const longest = 500
	reason := strings.TrimSpace(r.Object.Metadata.Annotations[Annotation])
	if reason == "" || len(reason) > longest {
		no := refused(text("refused: breaking the glass takes a reason, of at most 500 bytes", "kubectl annotate … "+Annotation+"='why it cannot wait'"))
		return nil, &no, nil
	}
	may, err := w.c.Cluster.May(ctx, r.User, "break", r.Namespace)
	if err != nil {
		return nil, nil, fmt.Errorf("asking whether %s may break the glass: %w", r.User.Username, err)
	}
	if !may {
		no := refused(text(fmt.Sprintf("refused: %s may not break the glass in %s", r.User.Username, r.Namespace),
			`take the annotation out, or ask somebody who has the verb "break" on "glass" in the group touchstone.dev`))
		return nil, &no, nil
	}
	now := w.c.Now().UTC()
	return &Glass{
		Schema: SchemaGlass, Cluster: w.c.Name, Namespace: r.Namespace, By: r.User.Username, Reason: reason,
		At: now, Until: now.Add(Lasts), dryRun: r.DryRun,
	}, nil, nil
}

// broke writes down that the glass is broken for what was judged, and announces
// it.
func (w *Webhook) broke(ctx context.Context, g *Glass, of touchstone.Workload, all []judged, out *answer) error {
	for i := range all {
		d, p := all[i].digest(), all[i].part
		if d == "" {
			continue
		}
		if !slices.Contains(g.Digests, d) {
			g.Digests = append(g.Digests, d)
		}
		shown := gate.Redacted(touchstone.Question{Settings: p.settings}).Settings
		g.Broken = append(g.Broken, Broken{Container: p.name, Digest: d, Settings: shown})
	}
	if len(g.Digests) == 0 {
		return errors.New("the glass cannot be broken for what has no digest\nhint: write the image as NAME@DIGEST")
	}
	g.Workload = of
	out.warnings = append(out.warnings, warning(fmt.Sprintf("the glass is broken for %s %s until %s; it is written down with your name", of.Kind, of.Name, g.Until.Format(time.RFC3339))))
	if g.dryRun {
		return nil
	}
	g.ID = record.NewID(g.At)
	body, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("writing down the break-glass: %w", err)
	}
	fact := record.Fact{Kind: KindGlass, Key: w.key(g.Namespace, of), Value: body, Tags: []string{"ns:" + g.Namespace}}
	if _, err := w.c.Store.Commit(ctx, record.Change{
		ID: g.ID, Kind: EntryGlass, Actor: g.By, About: fact.Key, Body: body, Facts: []record.Fact{fact},
	}); err != nil {
		return fmt.Errorf("writing down the break-glass: %w", err)
	}
	w.c.Log.Warn("the glass is broken", "by", g.By, "namespace", g.Namespace, "kind", of.Kind, "name", of.Name, "reason", g.Reason)
	if w.c.Announce != nil {
		w.c.Announce(*g)
	}
	return nil
}

// broken returns the break-glass that holds for a workload now, or nil.
func (w *Webhook) broken(ctx context.Context, namespace string, of touchstone.Workload) (*Glass, error) {
	g, _, err := record.Get[Glass](ctx, w.c.Store, KindGlass, w.key(namespace, of))
	if errors.Is(err, record.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// A clock that was set back makes nothing last longer.
	if now := w.c.Now(); now.Before(g.At) || !now.Before(g.Until) {
		return nil, nil
	}
	return &g, nil
}

// ownGlass lets in what the gate itself needs. Its end is the same for an hour, so
// that the answer may be remembered.
func (w *Webhook) ownGlass() *touchstone.Glass {
	return &touchstone.Glass{
		By: "touchstone", Reason: "the gate's own namespace: the gate does not lock itself out",
		Until: w.c.Now().UTC().Truncate(Lasts).Add(2 * Lasts),
	}
}
