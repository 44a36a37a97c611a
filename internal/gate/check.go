package gate

import (
	"context"
	"errors"

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
	road := make([]touchstone.Decision, 0, len(g.Rules.Environments))
	for _, env := range g.Rules.Environments {
		place := g.Rules.PlaceIn(env)
		if ask.Place != nil {
			place = *ask.Place
			place.Environment = env
		}
		road = append(road, Decide(g.Rules, c, place, ask.User))
	}
	if ask.Place == nil {
		out.Road = road
		return out
	}
	d := Decide(g.Rules, c, *ask.Place, ask.User)
	out.Decision = &d
	out.Next = next(g.Rules, road, ask.Place.Environment)
	return out
}

// Decide asks one question of the case.
func Decide(r *touchstone.Rules, c *touchstone.Case, place touchstone.Place, user string) touchstone.Decision {
	asked := *c
	asked.Question = touchstone.Question{Occasion: touchstone.OccasionCheck, Place: place, User: user}
	return touchstone.Decide(r, &asked)
}

// next tells what the environments after this one would say.
func next(r *touchstone.Rules, road []touchstone.Decision, env string) []touchstone.NextVerdict {
	var out []touchstone.NextVerdict
	after := false
	for i, name := range r.Environments {
		if after {
			n := touchstone.NextVerdict{Environment: name, Verdict: road[i].Verdict, Rules: []string{}}
			for j := range road[i].Reasons {
				if why := &road[i].Reasons[j]; why.Refuses() || why.Outside && why.Outcome == touchstone.Unknown {
					n.Rules = append(n.Rules, why.Rule)
				}
			}
			out = append(out, n)
		}
		after = after || name == env
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
