package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// Terms are what the waivers of a baseline have in common.
type Terms struct {
	Environment string
	Owner       string
	ApprovedBy  string
	Reason      string
	Until       time.Time
}

// Baseline makes waivers of what refuses the artifact today, so that from now on
// only what is new refuses. Each names one hole of one package, or one thing, so
// that nothing else slips through with it; the waiver of a hole ends when its
// score rises. What can never be waived is returned in left.
func Baseline(r *touchstone.Rules, c *touchstone.Check, t Terms) (waivers []touchstone.Waiver, left []touchstone.Reason) {
	scope := repository(c.Artifact)
	add := func(rule string, w touchstone.Waiver) {
		w.Rule, w.Artifact, w.Environments = rule, scope, []string{t.Environment}
		w.Owner, w.ApprovedBy, w.Reason, w.Until = t.Owner, t.ApprovedBy, t.Reason, t.Until
		w.ID = waiverID(w)
		if !slices.ContainsFunc(waivers, func(o touchstone.Waiver) bool { return o.ID == w.ID }) {
			waivers = append(waivers, w)
		}
	}
	for _, d := range c.Decisions() {
		for i := range d.Reasons {
			why := &d.Reasons[i]
			switch {
			case !why.Refuses():
			case why.Rule == touchstone.RuleIntegrity || slices.Contains(r.Waiving.Never, why.Rule):
				left = append(left, *why)
			case len(why.Failing) == 0:
				add(why.Rule, touchstone.Waiver{WholeRule: true})
			default:
				for _, thing := range why.Failing {
					for _, w := range narrow(c, why.Rule, thing) {
						add(why.Rule, w)
					}
				}
			}
		}
	}
	return waivers, left
}

// narrow makes the narrowest waivers for one failing thing of a rule.
func narrow(c *touchstone.Check, rule, thing string) []touchstone.Waiver {
	var out []touchstone.Waiver
	for i := range c.Matches {
		m := &c.Matches[i]
		if m.ID != thing || !m.Applies {
			continue
		}
		w := touchstone.Waiver{Advisory: m.ID, Package: m.Package.Name}
		if m.Scored && (rule == "cvss" || rule == "unfixable") {
			w.ScoreAbove = m.Score
		}
		out = append(out, w)
	}
	if len(out) > 0 {
		return out
	}
	if rule == "no-advisories" {
		thing, _, _ = strings.Cut(thing, " (")
	}
	return []touchstone.Waiver{{Package: thing}}
}

// repository is what a waiver for the artifact and its next builds names: the
// name without tag and digest, else the digest alone.
func repository(a touchstone.Artifact) string {
	if a.Name == "" {
		return string(a.Digest)
	}
	name, _, _ := strings.Cut(a.Name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// waiverID names a waiver of a baseline by what it sets aside, so that making
// the baseline again makes the same waivers.
func waiverID(w touchstone.Waiver) string {
	parts := []string{"baseline", w.Environments[0], w.Rule, w.Artifact}
	for _, p := range []string{w.Advisory, w.Package} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return fmt.Sprintf("%s until %s", strings.Join(parts, " "), w.Until.UTC().Format(time.DateOnly))
}
