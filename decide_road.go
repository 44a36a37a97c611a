package touchstone

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// road asks a rule about the way of an artifact from one environment to the next.
func (q *query) road() {
	if q.row.Name == "frozen" {
		q.frozen()
		return
	}
	if !q.c.History.Kept {
		q.notApplicable("nobody keeps what was promoted: that takes a server")
		return
	}
	if q.row.Name == "approvals" {
		q.approvals()
		return
	}
	env := q.environment()
	if q.occasion == OccasionPromote {
		if env = q.rules.Before(env); env == "" {
			q.pass("the road begins with " + q.environment())
			return
		}
	}
	p := q.promotion(env)
	switch {
	case p == nil && q.c.Artifact.Digest == "" && q.c.Problem != "":
		q.unknown("what it is called by is not known, so neither is whether it was promoted to "+env, "", true)
	case p == nil && q.row.Name == "soak":
		q.failUnlessWaived("not in "+env+" yet", "promote it there first: touchstone promote … --to "+env)
	case p == nil:
		q.failUnlessWaived("not promoted to "+env, "touchstone promote … --to "+env)
	case q.row.Name == "soak":
		q.soak(p)
	default:
		q.pass("promoted to " + env + " on " + p.At.UTC().Format(time.DateOnly) + " by " + p.By)
	}
}

// promotion returns the latest one of this very artifact to the environment.
func (q *query) promotion(env string) *Promotion {
	var found *Promotion
	for i := range q.c.History.Promotions {
		p := &q.c.History.Promotions[i]
		if p.Environment != env || p.Digest == "" || p.Digest != q.c.Artifact.Digest && p.Digest != q.c.Artifact.Index {
			continue
		}
		if found == nil || p.At.After(found.At) {
			found = p
		}
	}
	return found
}

// soak fails while the artifact has not been in the environment before for long
// enough.
func (q *query) soak(p *Promotion) {
	over := p.At.Add(q.cell.Limit.Duration())
	q.lapses(over)
	age := q.c.Now.Sub(p.At)
	seen := "in " + p.Environment + " since " + instant(p.At, nil)
	switch {
	case q.c.Now.Before(over):
		q.failUnlessWaived(seen+", for "+Days(max(0, age.Truncate(time.Hour))), "wait until "+instant(over, nil))
	default:
		q.pass(seen)
	}
}

// approvals fails while too few people of the group, other than who asks, have
// said yes.
func (q *query) approvals() {
	group, need := q.cell.Group, int(q.cell.Limit.Value)
	given := q.c.History.approvers(group)
	seen := count(len(given), "approval", "approvals")
	if len(given) > 0 {
		seen += ": " + strings.Join(given, ", ")
	}
	if q.c.History.Asker == "" {
		q.failUnlessWaived("nobody knows who asks, so no approval can be another's", "ask by name: with a token of your own")
		return
	}
	if len(given) >= need {
		q.pass(seen)
		return
	}
	q.failUnlessWaived(seen, strconv.Itoa(need-len(given))+" more of "+group+" other than "+q.c.History.Asker+": touchstone approve ID")
}

// approvers are the people of the group, each once, who said yes to what another
// asks for. Where nobody knows who asks there are none.
func (h *History) approvers(group string) []string {
	var out []string
	for i := range h.Approvals {
		a := &h.Approvals[i]
		if h.Asker == "" || a.By == "" || a.By == h.Asker || slices.Contains(out, a.By) {
			continue
		}
		if group == "" || group == Anyone || slices.Contains(a.Groups, group) {
			out = append(out, a.By)
		}
	}
	return out
}

// frozen fails in a freeze, and outside the windows of an environment that has
// some.
func (q *query) frozen() {
	cal := q.rules.calendar(q.environment(), q.c.History.Freezes)
	cal.boundaries(q.c.Now, q.lapses)
	closed, by, _ := cal.closed(q.c.Now)
	lost := cal.unlocated()
	switch {
	case by == nil && lost != nil:
		q.unknown("the time zone "+lost.Weekly.Zone+" of "+lost.called()+" is not known", "name it as the IANA does: Europe/Berlin", true)
		return
	case !closed && len(cal.windows) > 0:
		q.pass("a window is open")
		return
	case !closed:
		q.pass("no freeze holds")
		return
	}
	seen, zone := "no window is open", cal.zone()
	if by != nil {
		seen = "frozen by " + by.called() + ": " + by.Reason
		if by.Weekly != nil {
			zone = by.Weekly.location()
		}
	}
	opens, ok := cal.opens(q.c.Now)
	if !ok {
		fix := "nothing says when it ends"
		if by != nil && by.Owner != "" {
			fix += ": ask " + by.Owner
		}
		q.failUnlessWaived(seen, fix)
		return
	}
	q.lapses(opens)
	q.failUnlessWaived(seen, "try again when it opens: "+instant(opens, zone))
}

// called names the freeze, and who declared it.
func (f *Freeze) called() string {
	s := f.ID
	if s == "" {
		s = "a freeze"
	}
	if f.Owner != "" {
		s += " of " + f.Owner
	}
	return s
}

// zone is the one that the windows are written in, where they have one.
func (c calendar) zone() *time.Location {
	for _, f := range c.windows {
		if f.Weekly != nil {
			return f.Weekly.location()
		}
	}
	return nil
}

// instant writes a moment for people in UTC, and in a zone of theirs: "2026-11-30
// 07:00 UTC (Mon 08:00 in Europe/Berlin)".
func instant(t time.Time, zone *time.Location) string {
	s := t.UTC().Format("2006-01-02 15:04") + " UTC"
	if zone != nil && zone != time.UTC && zone.String() != "UTC" {
		s += " (" + t.In(zone).Format("Mon 15:04") + " in " + zone.String() + ")"
	}
	return s
}
