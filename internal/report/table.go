package report

import (
	"bytes"
	"strings"

	"touchstone.dev/touchstone"
)

// writeTable writes what a person reads in a terminal: the verdict, why, what to
// do, by whom. What is long is cut to its first lines; the rest is in the JSON.
func writeTable(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	s := &screen{b: b, o: o}
	switch {
	case c.Decision != nil:
		s.decision(c)
	case len(c.Road) > 0:
		s.road(c)
	default:
		s.found(c)
	}
	return nil
}

// decision writes the answer for one place.
func (s *screen) decision(c *touchstone.Check) {
	d := c.Decision
	s.verdict(d.Verdict, []string{placed(&d.Place)}, c.Artifact.Label())
	s.blank()
	s.facts(c, d.Place.Assumed)
	for _, st := range []standing{refusing, stalling, warned, waived} {
		s.group(st, reasons(d, st))
	}
	s.rest(d)
	s.todo(c)
	s.spared(c)
	s.gaps(c)
	s.next(c)
}

// verdict writes the answer itself.
func (s *screen) verdict(v touchstone.Verdict, places []string, label string) {
	l := verdictLook(v)
	what := "for " + joined(places, "and")
	if label != "" {
		what += ": " + label
	}
	s.entry(0, len("x UNDECIDED"), cell{l.sign(s.o.ASCII) + " " + l.word, l.style}, cell{what, strong})
}

// placed names a place as people do.
func placed(p *touchstone.Place) string {
	var within []string
	for _, part := range []struct{ name, value string }{
		{"cluster", p.Cluster}, {"namespace", p.Namespace}, {"node", p.Node}, {"owner", p.Owner},
	} {
		if part.value != "" {
			within = append(within, part.name+" "+part.value)
		}
	}
	if p.Sensitivity != "" {
		within = append(within, p.Sensitivity)
	}
	if p.Class != "" && p.Class != touchstone.ClassApplication {
		within = append(within, string(p.Class))
	}
	if len(within) == 0 {
		return p.Environment
	}
	return p.Environment + " (" + strings.Join(within, ", ") + ")"
}

// group writes the reasons of one standing, under a heading that counts them.
func (s *screen) group(st standing, of []*touchstone.Reason) {
	if len(of) == 0 {
		return
	}
	s.heading(heading(st, len(of)))
	for _, alike := range byCause(st, of) {
		if len(alike) == 1 {
			s.reason(st, alike[0])
			continue
		}
		var names []string
		for _, r := range alike {
			names = append(names, r.Rule)
		}
		l := st.look()
		s.entry(2, labelWidth, cell{l.sign(s.o.ASCII) + " " + counted(len(alike), "rule"), l.style},
			cell{alike[0].Seen, normal}, cell{"fix: " + alike[0].Fix, faint}, cell{"needed by " + joined(names, "and"), faint})
	}
}

// byCause puts rules that could not be asked for one and the same reason
// together; all others stand alone.
func byCause(st standing, of []*touchstone.Reason) [][]*touchstone.Reason {
	var out [][]*touchstone.Reason
	at := map[string]int{}
	for _, r := range of {
		cause := r.Seen + "\x00" + r.Fix
		if i, there := at[cause]; there && st == stalling {
			out[i] = append(out[i], r)
			continue
		}
		at[cause] = len(out)
		out = append(out, []*touchstone.Reason{r})
	}
	return out
}

func heading(st standing, n int) string {
	switch st {
	case refusing:
		return "Refused by " + counted(n, "rule")
	case stalling:
		return counted(n, "rule") + " that could refuse, and could not be asked"
	case warned:
		return "Warned of by " + counted(n, "rule")
	case waived:
		return "Waived: " + counted(n, "rule")
	case passing:
		return "Passed: " + counted(n, "rule")
	default:
		return "Not applicable here: " + counted(n, "rule")
	}
}

func (s *screen) heading(text string) {
	s.blank()
	s.text(0, strong, text)
}

// labelWidth is the column in which rules and other labels stand; a longer one
// is cut.
const labelWidth = 20

// reason writes one rule: what was seen, and whatever there is to say about it.
func (s *screen) reason(st standing, r *touchstone.Reason) {
	l := st.look()
	lines := []cell{{r.Seen, normal}}
	for _, aside := range asides(st, r, s.day) {
		lines = append(lines, cell{aside, faint})
	}
	s.entry(2, labelWidth, cell{l.sign(s.o.ASCII) + " " + r.Rule, l.style}, lines...)
}

// asides are the sentences that follow what a rule has seen.
func asides(st standing, r *touchstone.Reason, day dayFunc) []string {
	var out []string
	add := func(label, text string) {
		if text != "" {
			out = append(out, label+text)
		}
	}
	if st <= warned {
		add("", bound(r))
		add("because: ", r.Because)
		add("fix: ", r.Fix)
	}
	if w := r.Waiver; w != nil {
		text := "waived until "
		if st <= warned {
			text = "in part waived until "
		}
		text += day(w.Until) + " by " + w.ID
		if w.Owner != "" {
			text += ", owner " + w.Owner
		}
		add("", text)
	}
	if st <= warned {
		add("owner: ", r.Owner)
		add("serves: ", strings.Join(r.Aligns, ", "))
	}
	return out
}

// bound says what would have been allowed. A rule about a fault has no more to
// say than that it refuses, which its heading says already.
func bound(r *touchstone.Reason) string {
	for _, e := range []touchstone.Effect{touchstone.EffectRefuse, touchstone.EffectApprove, touchstone.EffectWarn} {
		rest, found := strings.CutPrefix(r.Allowed, string(e))
		switch {
		case !found:
		case r.Effect == touchstone.EffectApprove:
			return "an approval would let it pass" + rest
		case rest == "":
			return ""
		default:
			return string(e) + "s" + strings.Replace(rest, ", from", " from", 1)
		}
	}
	if r.Allowed == "" {
		return ""
	}
	return "allowed: " + r.Allowed
}

// rest counts what needs no words, or lists it where that is wanted.
func (s *screen) rest(d *touchstone.Decision) {
	passed, skipped := reasons(d, passing), reasons(d, idle)
	if s.o.Verbose {
		s.group(passing, passed)
		s.group(idle, skipped)
		return
	}
	if len(passed)+len(skipped) == 0 {
		return
	}
	s.blank()
	text := heading(passing, len(passed)) + "."
	if len(skipped) > 0 {
		text += " " + heading(idle, len(skipped)) + "."
	}
	s.text(0, faint, text)
}

// next says what the environments after this one would answer.
func (s *screen) next(c *touchstone.Check) {
	if len(c.Next) == 0 {
		return
	}
	s.heading("Further along the road")
	for _, n := range c.Next {
		l := verdictLook(n.Verdict)
		text := "would be " + string(n.Verdict)
		if len(n.Rules) > 0 {
			text += ", because of " + joined(n.Rules, "and")
		}
		s.entry(2, labelWidth, cell{l.sign(s.o.ASCII) + " " + n.Environment, l.style}, cell{text, normal})
	}
}
