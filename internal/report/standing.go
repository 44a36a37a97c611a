package report

import "touchstone.dev/touchstone"

// standing is how a reason bears on the verdict, worst first.
type standing int

const (
	refusing standing = iota // by itself refuses
	stalling                 // could refuse, and could not be evaluated
	warned                   // fails or is unknown, and only warns here
	waived
	passing
	idle // not asked here, or not applicable
)

func stand(r *touchstone.Reason) standing {
	switch {
	case r.Refuses():
		return refusing
	case r.Stalls():
		return stalling
	case r.Effect == touchstone.EffectNone && r.Outcome == touchstone.Fail:
		return idle
	case r.Outcome == touchstone.Fail, r.Outcome == touchstone.Unknown:
		return warned
	case r.Outcome == touchstone.Waived:
		return waived
	case r.Outcome == touchstone.Pass:
		return passing
	default:
		return idle
	}
}

// look is how a standing is shown: a mark for who sees it, a word for who reads
// or hears it.
type look struct {
	mark, ascii, word string
	style             style
}

func (st standing) look() look {
	switch st {
	case refusing:
		return look{"✗", "x", "refuse", bad}
	case stalling:
		return look{"?", "?", "unknown", unsure}
	case warned:
		return look{"!", "!", "warn", warning}
	case waived:
		return look{"~", "~", "waived", set}
	case passing:
		return look{"✓", "+", "pass", good}
	default:
		return look{"·", "-", "n/a", faint}
	}
}

// verdictLook is how a verdict is shown.
func verdictLook(v touchstone.Verdict) look {
	switch v {
	case touchstone.Allowed:
		return look{"✓", "+", "ALLOWED", good}
	case touchstone.Undecided:
		return look{"?", "?", "UNDECIDED", unsure}
	default:
		return look{"✗", "x", "REFUSED", bad}
	}
}

func (l look) sign(ascii bool) string {
	if ascii {
		return l.ascii
	}
	return l.mark
}

// reasons returns the decision's reasons of one standing, in their order.
func reasons(d *touchstone.Decision, st standing) []*touchstone.Reason {
	var out []*touchstone.Reason
	for i := range d.Reasons {
		if stand(&d.Reasons[i]) == st {
			out = append(out, &d.Reasons[i])
		}
	}
	return out
}
