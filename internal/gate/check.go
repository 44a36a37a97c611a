package gate

import (
	"context"
	"errors"
	"slices"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/reference"
)

// Ask is what a check is about.
type Ask struct {
	Reference string
	Open      reference.Options
	// Place is where the artifact is to run; nil asks about the whole road.
	Place *touchstone.Place
	// User overrides the image's user when it is not empty.
	User string
}

// Check inspects the artifact and decides. Of several platforms the answer is
// that of the worst.
func (g *Gate) Check(ctx context.Context, ask Ask) (*touchstone.Check, error) {
	all, err := g.Inspect(ctx, ask.Reference, ask.Open)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("the reference names no artifact that runs anywhere")
	}
	var worst *touchstone.Check
	var platforms []touchstone.PlatformVerdict
	for _, in := range all {
		one := g.answer(g.Gather(ctx, in), ask)
		platforms = append(platforms, touchstone.PlatformVerdict{
			Platform: in.Artifact.Platform, Digest: in.Artifact.Digest, Verdict: one.Verdict(),
		})
		if worst == nil || one.Verdict().Worse(worst.Verdict()) {
			worst = one
		}
	}
	if len(platforms) > 1 {
		worst.Platforms = platforms
	}
	return worst, nil
}

// answer decides a case for the place, or for every environment.
func (g *Gate) answer(c *touchstone.Case, ask Ask) *touchstone.Check {
	out := Document(c, g.Tool)
	if ask.Place == nil {
		for _, env := range g.Rules.Environments {
			out.Road = append(out.Road, Decide(g.Rules, c, g.Rules.PlaceIn(env), ask.User))
		}
		return out
	}
	d := Decide(g.Rules, c, *ask.Place, ask.User)
	out.Decision = &d
	out.Next = next(g.Rules, c, *ask.Place, ask.User)
	return out
}

// Decide asks one question of the case.
func Decide(r *touchstone.Rules, c *touchstone.Case, place touchstone.Place, user string) touchstone.Decision {
	asked := *c
	asked.Question = touchstone.Question{Occasion: touchstone.OccasionCheck, Place: place, Settings: touchstone.Settings{User: user}}
	return touchstone.Decide(r, &asked)
}

// next tells what the environments after this place's would say of the same
// place.
func next(r *touchstone.Rules, c *touchstone.Case, place touchstone.Place, user string) []touchstone.NextVerdict {
	var out []touchstone.NextVerdict
	here := slices.Index(r.Environments, place.Environment)
	if here < 0 {
		return nil
	}
	for _, env := range r.Environments[here+1:] {
		place.Environment = env
		d := Decide(r, c, place, user)
		n := touchstone.NextVerdict{Environment: env, Verdict: d.Verdict, Rules: []string{}}
		for i := range d.Reasons {
			if why := &d.Reasons[i]; why.Refuses() || why.Outside && why.Outcome == touchstone.Unknown {
				n.Rules = append(n.Rules, why.Rule)
			}
		}
		out = append(out, n)
	}
	return out
}

// Document holds what is known of the case, before any decision.
func Document(c *touchstone.Case, tool string) *touchstone.Check {
	out := &touchstone.Check{
		Schema: touchstone.SchemaCheck, Tool: tool, Artifact: c.Artifact,
		Matches: c.Knowledge.Matches, Upgrades: c.Knowledge.Upgrades,
		Index: c.Knowledge.Index, Coverage: c.Knowledge.Coverage, Lineage: c.Knowledge.Lineage,
	}
	if e := c.Evidence; e != nil {
		out.Packages, out.Gaps, out.Secrets, out.Pins = e.Packages, e.Gaps, e.Secrets, e.Pins
		out.Surface, out.Configuration, out.OS, out.Layers, out.Manifest = e.Surface, e.Configuration, e.OS, e.Layers, e.Manifest
	}
	return out
}
