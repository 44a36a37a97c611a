package touchstone

import (
	"slices"
	"strconv"
	"time"
)

// holes asks a rule about matches: each match that fails, is not waived and is
// past its grace counts.
func (q *query) holes() {
	k := &q.c.Knowledge
	if q.noIndex() {
		return
	}
	switch {
	case q.row.Name == "known-exploited" && k.Index.KEV.IsZero():
		q.unknown("CISA's list of known exploited vulnerabilities is not in the index", "touchstone db update", true)
		return
	case q.row.Name == "epss" && k.Index.EPSS.IsZero():
		q.unknown("EPSS scores are not in the index", "touchstone db update", true)
		return
	}
	t := tally{worst: -1}
	for i := range k.Matches {
		if m := &k.Matches[i]; m.Applies && q.wrong(m) {
			q.weigh(&t, i, m)
		}
	}
	switch {
	case len(t.failing) > 0:
		q.why.Failing = t.failing
		q.fail(q.describe(len(t.failing), t.worst), q.remedy(t))
	case len(t.grace) > 0:
		q.why.Failing = t.grace
		q.why.Effect = EffectWarn
		q.fail(q.describe(len(t.grace), t.worst)+", within the time given", q.remedy(t))
	case len(q.why.Waived) > 0:
		q.why.Outcome, q.why.Seen = Waived, count(len(q.why.Waived), "vulnerability, waived", "vulnerabilities, waived")
	default:
		q.pass(q.none(len(k.Matches)))
	}
}

// tally is what became of the matches that a rule fails for.
type tally struct {
	failing []string // ids
	grace   []string // ids of those that only warn yet
	worst   int      // index of the match to name; -1 if none
}

func (q *query) weigh(t *tally, i int, m *Match) {
	for _, w := range q.waivers {
		if q.covers(w, m) {
			q.setAside(m.ID, w)
			return
		}
	}
	matches := q.c.Knowledge.Matches
	if q.cell.After > 0 && !m.Published.IsZero() {
		if end := m.Published.Add(q.cell.After); q.c.Now.Before(end) {
			q.lapses(end)
			t.grace = append(t.grace, m.ID)
			if t.worst < 0 || len(t.failing) == 0 && m.Score > matches[t.worst].Score {
				t.worst = i
			}
			return
		}
	}
	if len(t.failing) == 0 || m.Score > matches[t.worst].Score {
		t.worst = i
	}
	t.failing = append(t.failing, m.ID)
}

// covers reports whether the waiver sets the rule aside for the match. One that
// exploitation ends does not, where nobody knows what is exploited.
func (q *query) covers(w *Waiver, m *Match) bool {
	return w.covers(m) && !(w.UnlessExploited && q.c.Knowledge.Index.KEV.IsZero())
}

// wrong reports whether the rule fails for the match.
func (q *query) wrong(m *Match) bool {
	switch q.row.Name {
	case "cvss":
		return m.Scored && !q.cell.Limit.Allows(m.Score) && (m.Fixable() || !q.split)
	case "unfixable":
		return !m.Fixable() && m.Scored && !q.cvss.Allows(m.Score)
	case "known-exploited":
		return m.KnownExploited
	case "epss":
		return !q.cell.Limit.Allows(m.EPSS)
	case "unscored":
		return !m.Scored
	default: // fix-available-for
		if !m.Fixable() {
			return false
		}
		if m.Published.IsZero() {
			return true // for how long is not known, and unknown is never a pass
		}
		q.keepsUntil(m.Published, q.cell.Limit)
		return !q.cell.Limit.Allows(q.c.Now.Sub(m.Published).Hours())
	}
}

// describe says how many matches fail and names the worst.
func (q *query) describe(n, worst int) string {
	m := &q.c.Knowledge.Matches[worst]
	s := m.ID + " in " + m.Package.Name + " " + m.Package.Version
	switch q.row.Name {
	case "epss":
		s += ", EPSS " + strconv.FormatFloat(m.EPSS, 'f', 3, 64)
	case "fix-available-for":
		if m.Published.IsZero() {
			s += ", public since an unknown day"
		} else {
			s += ", public since " + m.Published.UTC().Format(time.DateOnly)
		}
	default:
		if m.Scored {
			s += ", CVSS " + strconv.FormatFloat(m.Score, 'f', 1, 64)
		}
	}
	if n == 1 {
		return s
	}
	return strconv.Itoa(n) + " vulnerabilities, among them " + s
}

func (q *query) none(matches int) string {
	if matches == 0 {
		return "no known vulnerability"
	}
	return "none of " + count(matches, "vulnerability", "vulnerabilities")
}

// remedy names the upgrade that clears most of the package of a failing match.
func (q *query) remedy(t tally) string {
	const nothing = "no fix is known: remove the package, or waive it with an owner and a date"
	k := &q.c.Knowledge
	worst := &k.Matches[t.worst]
	switch {
	case worst.Fixable() || q.row.Name == "cvss":
	case q.row.Name == "unscored":
		return "find out how bad it is; then waive it with an owner and a date, or remove the package"
	default:
		return nothing
	}
	for i := range k.Upgrades {
		if u := &k.Upgrades[i]; u.Path == worst.Package.Path && slices.Contains(u.Clears, worst.ID) {
			return "upgrade " + u.Package + " " + u.From + " to " + u.To + " (clears " + strconv.Itoa(len(u.Clears)) + ")"
		}
	}
	if worst.Fixable() {
		return "upgrade " + worst.Package.Name + " to " + worst.FixedVersions[0]
	}
	return nothing
}
