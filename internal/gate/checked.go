package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
)

// ErrReference means that a reference can be none of an image in a registry.
var ErrReference = errors.New("no image's name")

// Check judges an artifact for people and pipelines: for the place of the
// question, or for each place of the road where one is given. It is decided,
// scanned and written down as Ask does it, by the same rules as at the door.
//
// While the artifact is read for the first time scanning is true, and there is no
// document: an answer about nothing would look like one. The error is ErrReference
// for what names no image.
func (d *Door) Check(ctx context.Context, r Request, road []touchstone.Place) (doc *touchstone.Check, scanning bool, err error) {
	if _, err := parse(r.Reference); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrReference, err)
	}
	places := road
	if len(places) == 0 {
		places = []touchstone.Place{r.Question.Place}
	}
	r.Question.Occasion = touchstone.OccasionCheck
	answers := make([]*Answer, 0, len(places))
	for _, place := range places {
		r.Question.Place = place
		a, err := d.Ask(ctx, r)
		if err != nil {
			return nil, false, err
		}
		if a.Scanning {
			return nil, true, nil
		}
		// What the tag stands for is asked once: every column is about one digest.
		r.Reference = a.Pinned
		answers = append(answers, a)
	}
	worst := slices.MaxFunc(answers, func(a, b *Answer) int {
		switch {
		case a.Decision.Verdict.Worse(b.Decision.Verdict):
			return 1
		case b.Decision.Verdict.Worse(a.Decision.Verdict):
			return -1
		default:
			return 0
		}
	})
	r.Question.Place = worst.Decision.Place
	if doc, err = d.document(ctx, &r, worst, len(road) == 0); err != nil {
		return nil, false, err
	}
	if len(road) == 0 {
		doc.Decision = &answers[0].Decision
		return doc, false, nil
	}
	for _, a := range answers {
		doc.Road = append(doc.Road, a.Decision)
	}
	return doc, false, nil
}

// document is what the door knows of the artifact that was judged. next asks what
// the environments after this one would say, too.
func (d *Door) document(ctx context.Context, r *Request, a *Answer, ahead bool) (*touchstone.Check, error) {
	n, err := parse(r.Reference)
	if err != nil {
		return nil, err
	}
	var seen *Seen
	if n.digest != "" {
		if seen, err = d.look(ctx, artifactKey(n.repository, n.digest)); err != nil {
			return nil, err
		}
	}
	if seen == nil { // it could not be read, and the decision says why
		return Document(&touchstone.Case{Artifact: a.Artifact}, d.c.Gate.Tool), nil
	}
	all, err := d.inspected(seen, n)
	if err != nil {
		return nil, err
	}
	g, err := d.ground(ctx)
	if err != nil {
		return nil, err
	}
	var shown *touchstone.Case
	var platforms []touchstone.PlatformVerdict
	for _, in := range all {
		c := d.caseOf(ctx, g, in, redacted(r.Question), touchstone.History{Kept: true})
		if in.Artifact.Digest == a.Artifact.Digest || shown == nil {
			shown = c
		}
		dec := touchstone.Decide(g.book.Rules, c)
		platforms = append(platforms, touchstone.PlatformVerdict{Platform: in.Artifact.Platform, Digest: in.Artifact.Digest, Verdict: dec.Verdict})
	}
	doc := Document(shown, d.c.Gate.Tool)
	if len(platforms) > 1 {
		doc.Platforms = platforms
	}
	if ahead {
		doc.Next = next(g.book.Rules, shown, r.Question.Place, r.Question.User)
	}
	return doc, ctx.Err()
}
