package touchstone

import (
	"slices"
	"strings"
	"time"
)

// RuleMendWithin and RuleRestart are the rows about what would be refused if it
// were new, and runs already.
const (
	RuleMendWithin = "mend-within"
	RuleRestart    = "restart"
)

// running lets be what the rules would refuse in something new, as far as the row
// restart allows, and notes it as findings with their deadlines.
func (a *asking) running() {
	var limit Limit // of mend-within here; without an Op there is none
	mend := a.rules.Row(RuleMendWithin)
	if mend != nil {
		if cell := a.rules.cell(mend, a.env, &a.c.Question.Place); cell.Effect != EffectNone {
			limit = cell.Limit
		}
	}
	stays := false
	if row := a.rules.Row(RuleRestart); row != nil {
		stays = !a.rules.cell(row, a.env, &a.c.Question.Place).Effect.Soft()
	}
	clocks := a.clocks()
	for i := range a.reasons {
		why := &a.reasons[i]
		if why.Rule == RuleIntegrity || !why.Refuses() && !why.Stalls() || a.anew(why) {
			continue
		}
		passing := why.ofTheMoment()
		for _, thing := range orNone(why.Failing) {
			f := Finding{Rule: why.Rule, Thing: thing, Since: clocks.since(why.Rule, thing, a.c.Now)}
			if limit.Op != "" && !passing {
				f.Deadline = f.Since.Add(limit.Duration())
			}
			a.findings = append(a.findings, f)
		}
		if passing || !stays {
			why.letBe("let be: it ran before")
		}
	}
	if limit.Op != "" {
		a.row(mend)
	}
}

// anew reports whether the reason is about a command that did not run before. A
// custom rule may have looked at it.
func (a *asking) anew(why *Reason) bool {
	if a.occasion != OccasionRestart || !a.c.History.LetIn.Otherwise {
		return false
	}
	row := a.rules.Row(why.Rule)
	return why.Rule == "own-command" || row != nil && row.When != nil
}

// ofTheMoment reports whether the reason says something about the moment, or about
// what lies outside the artifact: the advisories are stale or gone, the image is
// old. That stops what is new, never a restart, and nobody can mend it there.
func (r *Reason) ofTheMoment() bool {
	switch r.Rule {
	case "stale-advisories", "image-age":
		return true
	case "no-advisories":
		return r.Stalls()
	}
	return false
}

// clocks holds since when each thing has failed here.
type clocks map[finding]time.Time

// finding names what fails. A hole has one clock, whichever of the rules about
// holes fails for it.
type finding struct{ rule, thing string }

func findingOf(rule, thing string) finding {
	if thing != "" && aboutHoles(rule) {
		rule = ""
	}
	return finding{rule, thing}
}

// clocks reads when each thing was first seen to fail.
func (a *asking) clocks() clocks {
	out := make(clocks, len(a.c.History.Findings))
	for i := range a.c.History.Findings {
		f := &a.c.History.Findings[i]
		of := findingOf(f.Rule, f.Thing)
		if first, known := out[of]; !known || f.Since.Before(first) {
			out[of] = f.Since
		}
	}
	return out
}

// since returns when the thing was first seen to fail here: now, where it never
// was.
func (c clocks) since(rule, thing string, now time.Time) time.Time {
	if first, known := c[findingOf(rule, thing)]; known {
		return first
	}
	return now
}

func aboutHoles(rule string) bool {
	switch rule {
	case "cvss", "unfixable", "known-exploited", "epss", "unscored", "fix-available-for":
		return true
	}
	return false
}

// orNone returns the things, or one that has no name where there are none.
func orNone(things []string) []string {
	if len(things) == 0 {
		return []string{""}
	}
	return things
}

// mend fails for each finding whose time is over.
func (q *query) mend() {
	var late []part
	var next time.Time
	for i := range q.findings {
		f := &q.findings[i]
		switch {
		case f.Deadline.IsZero():
			continue
		case q.c.Now.Before(f.Deadline):
			q.lapses(f.Deadline)
			if next.IsZero() || f.Deadline.Before(next) {
				next = f.Deadline
			}
		case !q.excused(f):
			late = append(late, part{f.Thing, named(f.Rule, f.Thing)})
		}
	}
	q.parts(late, "finding whose time is over", "rebuild without it, then redeploy")
	switch {
	case q.why.Outcome == Pass && next.IsZero():
		q.why.Seen = "nothing to mend"
	case q.why.Outcome == Pass:
		q.why.Seen = "to be mended, the first by " + instant(next, nil)
	}
}

// excused reports whether a waiver for mend-within names the hole by its id or
// another name of it, and notes that.
func (q *query) excused(f *Finding) bool {
	if len(q.waivers) == 0 {
		return false
	}
	matches := q.c.Knowledge.Matches
	i := slices.IndexFunc(matches, func(m Match) bool { return m.ID == f.Thing })
	if i < 0 || !aboutHoles(f.Rule) {
		return false
	}
	for _, w := range q.waivers {
		if !w.WholeRule && w.Advisory != "" && q.covers(w, &matches[i]) {
			q.setAside(strings.TrimSpace(f.Rule+" "+f.Thing), w)
			return true
		}
	}
	return false
}
