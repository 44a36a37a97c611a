package touchstone

import (
	"strconv"
	"strings"
)

// query is one rule being asked.
type query struct {
	*asking
	row     *Rule
	cell    Cell
	waivers []*Waiver // those that hold for the rule, the artifact and now
	why     *Reason
}

// ask evaluates the rule and fills in outcome, seen and fix.
func (q *query) ask() {
	e, k := q.c.Evidence, &q.c.Knowledge
	if q.row.When != nil {
		q.custom()
		return
	}
	switch q.row.Name {
	case "promoted", "soak", "approvals", "frozen":
		q.road()
	case "privileged", "added-capabilities", "host-access", "own-command":
		q.settings()
	case RuleMendWithin:
		q.mend()
	case RuleLogin:
		q.login()
	case RuleRunUnknown:
		q.runUnknown()
	case RuleRunUnjudged:
		q.runUnjudged()
	case RuleChange:
		q.change()
	case "unseen":
		q.unseen()
	case "cvss", "unfixable", "known-exploited", "epss", "unscored", "fix-available-for":
		q.holes()
	case "no-advisories":
		q.uncovered()
	case "stale-advisories":
		q.stale()
	case "gaps":
		q.gaps()
	case "secrets":
		q.secrets()
	case "unpinned":
		q.unpinned()
	case "no-golden-base", "old-base":
		q.base(&k.Lineage)
	case "image-age":
		q.age()
	case "allowed-registries":
		q.registries()
	case "denied-packages":
		q.denied()
	case "required-packages":
		q.required()
	case "licences":
		q.licences()
	case "runs-as-root":
		q.root()
	case "setuid":
		q.faults(e.Surface.Setuid, "setuid or setgid program", "drop the bit (chmod a-s) or the program")
	case "file-capabilities":
		q.parts(capable(e.Surface.Capabilities), "program with file capabilities", "drop them (setcap -r) or the program")
	case "shells":
		q.faults(e.Surface.Shells, "shell", "build in one stage and copy into a base without a shell")
	case "package-managers":
		q.faults(e.Surface.PackageManagers, "package manager", "build in one stage and copy into a base without one")
	case "interpreters":
		q.faults(e.Surface.Interpreters, "script interpreter", "copy only what runs into a base without it")
	case "network-tools":
		q.faults(e.Surface.NetworkTools, "network tool", "remove it; an HTTP health check belongs into the probe")
	case "debug-tools":
		q.faults(e.Surface.DebugTools, "debugging or build tool", "build in one stage and copy the result into another")
	case "login-daemons":
		q.faults(e.Surface.LoginDaemons, "login daemon", "remove it: what runs is replaced, not logged into")
	case "world-writable":
		q.faults(e.Surface.WorldWritable, "place that anyone may write", "chmod o-w, or set the sticky bit")
	case "surface":
		q.number(e.Surface.Size, "entry of attack surface", "entries of attack surface")
	case "executables":
		q.number(e.Manifest.Executables, "executable file", "executable files")
	case "unneeded-libraries":
		q.number(len(e.Surface.Unneeded), "library that nothing needs", "libraries that nothing needs")
	default:
		q.unknown("this program does not know the rule", "update touchstone, or take the row out", true)
	}
}

func (q *query) pass(seen string) { q.why.Outcome, q.why.Seen = Pass, seen }

func (q *query) fail(seen, fix string) { q.why.Outcome, q.why.Seen, q.why.Fix = Fail, seen, fix }

func (q *query) notApplicable(seen string) { q.why.Outcome, q.why.Seen = NotApplicable, seen }

func (q *query) unknown(seen, fix string, outside bool) {
	// A waiver that something about a hole ends does not hold where that is not
	// known.
	if w := q.wholeWaiver(); w != nil && !w.bounded() {
		q.waived(seen, w)
		return
	}
	q.why.Outcome, q.why.Seen, q.why.Fix, q.why.Outside = Unknown, seen, fix, outside
}

func (q *query) waived(seen string, w *Waiver) {
	q.why.Outcome, q.why.Seen = Waived, seen
	q.use(w)
}

// use notes that a waiver was needed, and keeps the one that lapses first.
func (q *query) use(w *Waiver) {
	q.lapses(w.Until)
	if q.why.Waiver == nil || w.Until.Before(q.why.Waiver.Until) {
		q.why.Waiver = &WaiverUse{ID: w.ID, Until: w.Until, Owner: w.Owner}
	}
}

// setAside notes that the waiver keeps the rule from failing for what is told.
func (q *query) setAside(told string, w *Waiver) {
	q.why.Waived = append(q.why.Waived, told)
	q.use(w)
}

// failUnlessWaived is fail for a rule that has no parts to waive one by one.
func (q *query) failUnlessWaived(seen, fix string) {
	if w := q.wholeWaiver(); w != nil {
		q.waived(seen, w)
		return
	}
	q.fail(seen, fix)
}

func (q *query) wholeWaiver() *Waiver {
	var found *Waiver
	for _, w := range q.waivers {
		if w.WholeRule && (found == nil || found.bounded()) {
			found = w
		}
	}
	return found
}

// faults fails for each thing that no waiver covers.
func (q *query) faults(things []string, noun, fix string) {
	parts := make([]part, len(things))
	for i, t := range things {
		parts[i] = part{t, t}
	}
	q.parts(parts, noun, fix)
}

// part is one of the things for which a rule fails.
type part struct {
	name string // the bare thing, as a waiver may call it
	told string // with what it is about
}

// parts is faults for things that are told with what they are about.
func (q *query) parts(parts []part, noun, fix string) {
	var failing []string
	for _, p := range parts {
		if w := q.coveringThing(p); w != nil {
			q.setAside(p.told, w)
			continue
		}
		failing = append(failing, p.told)
	}
	switch {
	case len(failing) > 0:
		q.why.Failing = failing
		q.fail(listed(failing, noun), fix)
	case len(q.why.Waived) > 0:
		q.why.Outcome, q.why.Seen = Waived, listed(q.why.Waived, noun)
	default:
		q.pass("no " + noun)
	}
}

func (q *query) coveringThing(p part) *Waiver {
	for _, w := range q.waivers {
		if w.coversThing(p.name, p.told) {
			return w
		}
	}
	return nil
}

// listed says how many things there are and names the first three.
func listed(things []string, noun string) string {
	const most = 3
	s := count(len(things), noun, plural(noun)) + ": " + strings.Join(things[:min(most, len(things))], ", ")
	if n := len(things) - most; n > 0 {
		s += " and " + strconv.Itoa(n) + " more"
	}
	return s
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// plural puts the head of a noun phrase into the plural: "program with file
// capabilities" becomes "programs with file capabilities".
func plural(noun string) string {
	head, rest := noun, ""
	for _, cut := range []string{" with ", " that ", " without ", " under "} {
		if i := strings.Index(noun, cut); i > 0 {
			head, rest = noun[:i], noun[i:]
			break
		}
	}
	if strings.HasSuffix(head, "y") && !strings.HasSuffix(head, "ey") {
		return head[:len(head)-1] + "ies" + rest
	}
	return head + "s" + rest
}
