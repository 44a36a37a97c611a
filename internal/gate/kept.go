package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/record"
)

// SchemaDecision names the form of a kept decision.
const SchemaDecision = "touchstone.dev/decision/v1"

// Kept is a decision as the record keeps it: the body of its entry. With the
// blobs that it names it can be taken again.
//
//	evidence   by its id, in the evidence store (Inspector.Keep); never pruned
//	matched    matches, upgrades and lineage, a blob; the same while the advisories say the same
//	waivers    those in force, a blob
//	rules      the file's bytes, a blob
//	history    what happened before, a blob
//
// The command of the question is redacted before anything is decided (see
// redacted), so that deciding on what is kept is deciding on the same.
type Kept struct {
	Schema   string              `json:"schema"` // touchstone.dev/decision/v1
	ID       string              `json:"id"`     // of the entry
	Actor    string              `json:"actor"`
	Artifact touchstone.Artifact `json:"artifact"`
	Question touchstone.Question `json:"question"`
	Decision touchstone.Decision `json:"decision"`
	Inputs   KeptInputs          `json:"inputs"`
}

// KeptInputs are what a decision was taken on, by digest where it is large. The
// evidence is in Decision.Inputs.
type KeptInputs struct {
	Problem  string                `json:"problem,omitempty"`
	False    string                `json:"false,omitempty"`
	Index    touchstone.IndexState `json:"index,omitzero"`
	Coverage []touchstone.Coverage `json:"coverage"`
	Matched  touchstone.Digest     `json:"matched"` // matches, upgrades and lineage
	Waivers  touchstone.Digest     `json:"waivers"`
	Rules    touchstone.Digest     `json:"rules"`
	History  touchstone.Digest     `json:"history"`
}

// matched is the part of the knowledge that stays the same from day to day. What
// changes with every feed (state, coverage) lies in the body itself.
type matched struct {
	Matches  []touchstone.Match   `json:"matches"`
	Upgrades []touchstone.Upgrade `json:"upgrades"`
	Lineage  touchstone.Lineage   `json:"lineage"`
}

// keptCase is what a decision's entry is made of.
type keptCase struct {
	Body  []byte   // a Kept
	Blobs [][]byte // what it names by digest, but for the evidence
}

// keep makes the record of a decision: id is the entry's (record.NewID), actor
// who asked. The question must have been redacted before it was decided. The
// caller commits it as
//
//	record.Change{ID: id, Kind: "decision", Actor: actor, About: "repository@digest", Body: k.Body, Blobs: k.Blobs, Facts: …}
//
// and has kept the evidence before that (Inspector.Keep, once for each).
func keep(id, actor string, c *touchstone.Case, book *Book, dec *touchstone.Decision) (keptCase, error) {
	if r := redacted(c.Question); !slices.Equal(r.Command, c.Question.Command) || !slices.Equal(r.Args, c.Question.Args) {
		return keptCase{}, fmt.Errorf("keeping decision %s: it was taken on a command that is not redacted", id)
	}
	k := Kept{
		Schema: SchemaDecision, ID: id, Actor: actor, Artifact: c.Artifact, Question: redacted(c.Question), Decision: *dec,
		Inputs: KeptInputs{Problem: c.Problem, False: c.False, Index: c.Knowledge.Index, Coverage: c.Knowledge.Coverage},
	}
	var out keptCase
	for _, part := range []struct {
		named *touchstone.Digest
		value any
	}{
		{&k.Inputs.Matched, matched{c.Knowledge.Matches, c.Knowledge.Upgrades, c.Knowledge.Lineage}},
		{&k.Inputs.Waivers, c.Waivers},
		{&k.Inputs.History, c.History},
	} {
		data, err := json.Marshal(part.value)
		if err != nil {
			return keptCase{}, fmt.Errorf("keeping decision %s: %w", id, err)
		}
		*part.named = touchstone.DigestOf(data)
		out.Blobs = append(out.Blobs, data)
	}
	k.Inputs.Rules = touchstone.DigestOf(book.Source)
	if k.Inputs.Rules != dec.RulesVersion {
		return keptCase{}, fmt.Errorf("keeping decision %s: it was taken by the rules %s, and those at hand are %s", id, dec.RulesVersion.Short(), k.Inputs.Rules.Short())
	}
	out.Blobs = append(out.Blobs, book.Source)
	var err error
	if out.Body, err = json.Marshal(k); err != nil {
		return keptCase{}, fmt.Errorf("keeping decision %s: %w", id, err)
	}
	return out, nil
}

// Redacted returns the question as the record may hold it: its commands without
// secrets, as decisions see them.
func Redacted(q touchstone.Question) touchstone.Question { return redacted(q) }

// redacted returns the question with every secret in its commands replaced. It
// is the first thing that the door does with a question: rules then see the words
// that are kept, and a decision can be taken again to the letter. To redact twice
// changes nothing.
func redacted(q touchstone.Question) touchstone.Question {
	if len(q.Command) > 0 || len(q.Args) > 0 {
		words := secrets.Command(slices.Concat(q.Command, q.Args))
		q.Command, q.Args = clip(words[:len(q.Command)]), clip(words[len(q.Command):])
	}
	if q.Login != nil {
		l := *q.Login
		l.Command = secrets.Command(l.Command)
		q.Login = &l
	}
	return q
}

func clip(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	return slices.Clip(words)
}

// Decision returns a kept decision by its id; record.ErrNotFound where there is
// none, or retention has removed it.
func (d *Door) Decision(ctx context.Context, id string) (*Kept, error) {
	entry, err := d.entry(ctx, id)
	if err != nil {
		return nil, err
	}
	body, err := d.c.Store.Blob(ctx, entry.Body)
	if err != nil {
		return nil, fmt.Errorf("reading decision %s: %w", id, err)
	}
	k := &Kept{}
	if err := json.Unmarshal(body, k); err != nil {
		return nil, fmt.Errorf("reading decision %s: %w", id, err)
	}
	if k.Schema != SchemaDecision {
		return nil, fmt.Errorf("reading decision %s: it has schema %q, and this program reads %s", id, k.Schema, SchemaDecision)
	}
	return k, nil
}

// Restore returns what a decision was taken on, the rules that took it, and the
// decision. missing names the inputs that retention has removed; the case and the
// rules are then not whole. The error is record.ErrNotFound when nothing of the
// decision is left.
func (d *Door) Restore(ctx context.Context, id string) (c *touchstone.Case, r *touchstone.Rules, then touchstone.Decision, missing []string, err error) {
	k, err := d.Decision(ctx, id)
	if err != nil {
		return nil, nil, then, nil, err
	}
	var evidence *touchstone.Evidence
	if e := k.Decision.Inputs.Evidence; e != "" {
		evidence, err = d.c.Gate.Inspector.Evidence(e)
		if errors.Is(err, blob.ErrAbsent) {
			missing = append(missing, "evidence")
		} else if err != nil {
			return nil, nil, then, nil, err
		}
	}
	c, more, err := d.restoreCase(ctx, k, evidence)
	if err != nil {
		return nil, nil, then, nil, err
	}
	missing = append(missing, more...)
	source, err := d.c.Store.Blob(ctx, k.Inputs.Rules)
	switch {
	case errors.Is(err, record.ErrNotFound):
		missing = append(missing, "rules")
	case err != nil:
		return nil, nil, then, nil, fmt.Errorf("reading the rules of decision %s: %w", id, err)
	default:
		if r, err = d.again.rules(source, k.Decision.At); err != nil {
			return nil, nil, then, nil, fmt.Errorf("reading the rules of decision %s: %w", id, err)
		}
	}
	return c, r, k.Decision, missing, nil
}

// restoreCase returns what a decision was taken on, but for its rules. The evidence
// is the caller's to read, who may have it already.
func (d *Door) restoreCase(ctx context.Context, k *Kept, e *touchstone.Evidence) (c *touchstone.Case, missing []string, err error) {
	in := &k.Inputs
	c = &touchstone.Case{
		Artifact: k.Artifact, Evidence: e, Problem: in.Problem, False: in.False, Question: k.Question,
		WaiversDigest: k.Decision.Inputs.Waivers, Now: k.Decision.At,
	}
	var m matched
	for _, part := range []struct {
		name   string
		digest touchstone.Digest
		into   any
	}{{"advisories", in.Matched, &m}, {"waivers", in.Waivers, &c.Waivers}, {"history", in.History, &c.History}} {
		gone, err := d.restorePart(ctx, part.digest, part.into)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the %s of decision %s: %w", part.name, k.ID, err)
		}
		if gone {
			missing = append(missing, part.name)
		}
	}
	c.Knowledge = touchstone.Knowledge{Matches: m.Matches, Upgrades: m.Upgrades, Lineage: m.Lineage, Index: in.Index, Coverage: in.Coverage}
	return c, missing, nil
}

// restorePart decodes a blob; gone says that it is not there any more.
func (d *Door) restorePart(ctx context.Context, digest touchstone.Digest, into any) (gone bool, err error) {
	data, err := d.c.Store.Blob(ctx, digest)
	if errors.Is(err, record.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, json.NewDecoder(bytes.NewReader(data)).Decode(into)
}

// entry finds the entry of a decision, by the fact that it wrote. Ids alone are no
// sure way to it: of two decisions at the same moment the later may be written down
// first.
func (d *Door) entry(ctx context.Context, id string) (record.Entry, error) {
	f, err := d.c.Store.Fact(ctx, factDecision, id)
	if errors.Is(err, record.ErrNotFound) {
		return d.halve(ctx, id)
	}
	if err != nil {
		return record.Entry{}, fmt.Errorf("finding decision %s: %w", id, err)
	}
	for e, err := range d.c.Store.Entries(ctx, record.EntryQuery{After: f.Seq - 1, Limit: 1}) {
		if err == nil && e.ID != id {
			break
		}
		return e, err
	}
	return record.Entry{}, fmt.Errorf("finding decision %s: %w", id, record.ErrNotFound)
}

// halve looks for an entry by its id where no fact leads to it. Ids sort as their
// sequence numbers do but for those of the same moment, so that the log is halved
// until it is found.
func (d *Door) halve(ctx context.Context, id string) (record.Entry, error) {
	at := func(q record.EntryQuery) (record.Entry, error) {
		q.Limit = 1
		for e, err := range d.c.Store.Entries(ctx, q) {
			return e, err
		}
		return record.Entry{}, record.ErrNotFound
	}
	last, err := at(record.EntryQuery{Descending: true})
	low, high := uint64(1), last.Seq // it lies within, ends included
	for err == nil && low <= high {
		middle := low + (high-low)/2
		var e record.Entry
		switch e, err = at(record.EntryQuery{After: middle - 1}); {
		case err != nil:
		case e.ID == id:
			return e, nil
		case e.ID < id:
			low = e.Seq + 1
		default:
			high = middle - 1
		}
	}
	if err == nil {
		err = record.ErrNotFound
	}
	return record.Entry{}, fmt.Errorf("finding decision %s: %w", id, err)
}
