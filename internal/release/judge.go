package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// thing is one artifact that is to be promoted, and what the gate says of it.
type thing struct {
	repository string
	digest     touchstone.Digest
	answer     *gate.Answer
	already    *touchstone.Promotion // nil when it is not promoted yet
}

func (t *thing) name() string { return t.repository + "@" + string(t.digest) }

// fixed returns every thing once, pinned to its digest.
func fixed(things []*thing) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range things {
		if !seen[t.name()] {
			seen[t.name()] = true
			out = append(out, t.answer.Pinned)
		}
	}
	return out
}

// names returns what pinned references are called without their tags, each once
// and in order.
func names(pinned []string) []string {
	out := make([]string, len(pinned))
	for i, p := range pinned {
		repository, d := parted(p)
		out[i] = (&thing{repository: repository, digest: d}).name()
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// parted cuts a pinned reference, "repository[:tag]@digest".
func parted(pinned string) (repository string, d touchstone.Digest) {
	name, digest, _ := strings.Cut(pinned, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name, touchstone.Digest(digest)
}

// judging is one asking of the gate for artifacts that belong together.
type judging struct {
	*Release
	ctx   context.Context
	rules *touchstone.Rules
	to    string
	actor string // who asks the gate now
	dry   bool
}

// judge asks the gate about each artifact; asker is who asked for the promotion.
func (j *judging) judge(references []string, asker string, given []touchstone.Approval) ([]*thing, error) {
	out := make([]*thing, len(references))
	for i, ref := range references {
		answer, err := j.door.Ask(j.ctx, gate.Request{
			Actor: j.actor, Reference: ref,
			Question: touchstone.Question{Occasion: touchstone.OccasionPromote, Place: j.rules.PlaceIn(j.to)},
			History:  touchstone.History{Asker: asker, Approvals: given},
			DryRun:   j.dry,
		})
		switch {
		case errors.Is(err, gate.ErrReference):
			return nil, faulty(ErrInvalid, fmt.Sprintf("%q cannot be promoted: %v", ref, err), "name an image in a registry: registry.example/shop/cart:1.4")
		case err != nil:
			return nil, fmt.Errorf("judging %q for %s: %w", ref, j.to, err)
		}
		t := &thing{answer: answer}
		t.repository, t.digest = parted(answer.Pinned)
		if t.already, err = j.promoted(j.ctx, t, j.to); err != nil {
			return nil, err
		}
		out[i] = t
	}
	return out, nil
}

// missing says what keeps things back.
type missing int

const (
	onNobody missing = iota // nothing, or more than people can say
	onPeople                // approvals alone
	onTime                  // approvals, soak, freezes: nothing but people and time
)

// let reports whether every thing is let in, or is there already. What could not
// be named by a digest is not.
func let(things []*thing) bool {
	return !slices.ContainsFunc(things, func(t *thing) bool {
		return t.already == nil && (t.answer.Decision.Verdict != touchstone.Allowed || t.answer.Scanning || !t.digest.Valid())
	})
}

// waits says what keeps the things back together.
func waits(things []*thing) missing {
	if let(things) {
		return onNobody
	}
	worst := onPeople
	for _, t := range things {
		if t.already != nil {
			continue
		}
		if t.answer.Scanning || !t.digest.Valid() {
			return onNobody
		}
		for i := range t.answer.Decision.Reasons {
			switch why := &t.answer.Decision.Reasons[i]; {
			case !why.Refuses() && !why.Stalls():
			case why.Stalls():
				return onNobody
			case why.Rule == "approvals" || why.Effect == touchstone.EffectApprove && why.Rule != "unseen":
			case why.Rule == "soak" || why.Rule == "frozen":
				worst = onTime
			default:
				return onNobody
			}
		}
	}
	return worst
}
