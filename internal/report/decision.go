package report

import (
	"bytes"
	"io"

	"touchstone.dev/touchstone"
)

// Fact is one line of what is to be known of a decision beside its reasons.
type Fact struct{ Name, Text string }

// WriteDecision writes one decision for people as the table of a check does: the
// verdict about what label names, what is to be done about an act on what runs, the
// facts that have a text, the reasons. What only the evidence tells is not in it.
func WriteDecision(w io.Writer, label string, d *touchstone.Decision, facts []Fact, o Options) error {
	s := &screen{o: o.filled(nil)}
	return once(w, func(b *bytes.Buffer) error {
		s.b = b
		s.verdict(d.Verdict, []string{placed(&d.Place)}, label)
		if d.Action != "" {
			facts = append([]Fact{{"action", string(d.Action)}}, facts...)
		}
		if len(facts) > 0 {
			s.blank()
		}
		for _, f := range facts {
			if f.Text == "" {
				continue
			}
			s.entry(2, len("holds until"), cell{f.Name, faint}, cell{f.Text, normal})
		}
		for _, st := range []standing{refusing, stalling, warned, waived} {
			s.group(st, reasons(d, st))
		}
		s.rest(d)
		return nil
	})
}
