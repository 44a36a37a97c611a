package touchstone

import (
	"time"
)

// skew is by how much clocks may differ, such as by time zones, before a moment
// to come is taken for wrong.
const skew = 24 * time.Hour

// unseen fails for what was never inspected.
func (q *query) unseen() {
	if q.c.Evidence != nil {
		q.pass("inspected")
		return
	}
	q.failUnlessWaived("not seen before", "it is being inspected: try again in about 10 s")
}

// noIndex reports whether the advisories could not be asked, and says so: then
// nothing about them is known, for a reason outside the artifact.
func (q *query) noIndex() bool {
	index := &q.c.Knowledge.Index
	if index.Problem == "" {
		return false
	}
	q.unknown(index.Problem, index.Remedy, true)
	return true
}

// uncovered names the ecosystems and releases of which the advisories know
// nothing. It is unknown, never "no holes".
func (q *query) uncovered() {
	if q.noIndex() {
		return
	}
	k := &q.c.Knowledge
	var failing []string
	var remedy string
	for i := range k.Coverage {
		cov := &k.Coverage[i]
		if cov.Covered && !cov.EndOfLife || cov.Packages == 0 {
			continue
		}
		name := cov.Ecosystem
		if name == "" {
			name = "packages without an ecosystem"
		}
		if w := q.coveringThing(part{name, name}); w != nil {
			q.setAside(name, w)
			continue
		}
		if cov.EndOfLife {
			name += " (out of support)"
			if remedy == "" {
				remedy = "rebuild on a release that is still supported"
			}
		} else if remedy == "" {
			remedy = cov.Remedy
		}
		failing = append(failing, name)
	}
	switch {
	case len(failing) > 0:
		q.why.Failing = failing
		q.unknown("no advisories for "+listed(failing, "ecosystem or release"), remedy, false)
	case len(q.why.Waived) > 0:
		q.why.Outcome, q.why.Seen = Waived, "ecosystems without advisories, waived"
	case len(k.Coverage) == 0:
		q.pass("no package to ask about")
	default:
		q.pass("every package is of a known ecosystem and release")
	}
}

// stale fails when the advisories for something inside were last confirmed
// current too long ago.
func (q *query) stale() {
	if q.noIndex() {
		return
	}
	k := &q.c.Knowledge
	var oldest *Coverage
	for i := range k.Coverage {
		cov := &k.Coverage[i]
		if !cov.Covered || cov.Packages == 0 {
			continue
		}
		if cov.Confirmed.After(q.c.Now.Add(skew)) {
			q.lapses(cov.Confirmed.Add(-skew))
			q.unknown(cov.Ecosystem+" was confirmed on a day to come, "+cov.Confirmed.UTC().Format(time.DateOnly),
				"set this machine's clock, or import the advisories again with the right --as-of", true)
			return
		}
		if oldest == nil || cov.Confirmed.Before(oldest.Confirmed) {
			oldest = cov
		}
	}
	if oldest == nil {
		q.pass("no advisories are needed")
		return
	}
	age := q.c.Now.Sub(oldest.Confirmed)
	if q.cell.Limit.Allows(age.Hours()) && !oldest.Confirmed.IsZero() {
		q.keepsUntil(oldest.Confirmed, q.cell.Limit)
		q.pass(oldest.Ecosystem + " confirmed " + ago(age))
		return
	}
	seen := oldest.Ecosystem + " last confirmed " + ago(age)
	if oldest.Confirmed.IsZero() {
		seen = oldest.Ecosystem + " never confirmed current"
	}
	q.failUnlessWaived(seen, "touchstone db update")
}

// ago writes an age for people: "3h ago", "45d ago".
func ago(d time.Duration) string {
	switch {
	case d < time.Hour:
		return "within the hour"
	case d < 72*time.Hour:
		return Days(d.Truncate(time.Hour)) + " ago"
	default:
		return Days(d.Truncate(24*time.Hour)) + " ago"
	}
}

// base judges what the artifact stands on.
func (q *query) base(l *Lineage) {
	if !l.Known {
		q.unknown(l.Problem, "touchstone golden list", true)
		return
	}
	if q.row.Name == "old-base" {
		switch {
		case l.Base == nil:
			q.notApplicable("stands on no approved base")
		case l.Newer != "":
			q.failUnlessWaived(l.Base.Name+" has a newer approved build", "rebuild on "+l.Newer)
		default:
			q.pass("the newest approved " + l.Base.Name)
		}
		return
	}
	switch {
	case l.Base == nil && alone(q.c.Evidence):
		q.notApplicable("stands on nothing: static programs alone")
	case l.Base == nil:
		q.failUnlessWaived("stands on no approved base", "rebuild on one of: touchstone golden list")
	case !l.Base.Expires.IsZero() && !q.c.Now.Before(l.Base.Expires):
		q.failUnlessWaived("the approval of "+l.Base.Name+" expired on "+l.Base.Expires.UTC().Format(time.DateOnly),
			"rebuild on a newer one, or ask "+orSomebody(l.Base.Owner)+" to approve it again")
	default:
		q.lapses(l.Base.Expires)
		q.pass("stands on " + l.Base.Name)
	}
}

// alone reports whether there is nothing in the artifact that a base would have
// brought: no distribution, no library, no shell or other tool. Taking the
// marks of a distribution away does not make an image with libraries such a one,
// and of what could not be read whole nobody knows.
func alone(e *Evidence) bool {
	return len(e.Gaps) == 0 && e.OS == OS{} && e.Surface.Size == 0 && len(e.Surface.Needed)+len(e.Surface.Unneeded) == 0
}

func orSomebody(owner string) string {
	if owner == "" {
		return "its owner"
	}
	return owner
}
