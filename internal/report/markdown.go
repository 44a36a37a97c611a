package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// writeMarkdown writes a comment for a pull request: the verdict and why in
// sight, the long lists folded away. Whatever a stranger wrote stands in code
// spans.
func writeMarkdown(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	p := &page{b: b, o: o}
	for _, d := range c.Decisions() {
		l := verdictLook(d.Verdict)
		p.line("### " + l.sign(o.ASCII) + " " + l.word + " for " + mdText(placed(&d.Place)))
	}
	p.line(mdCode(c.Artifact.Label()) + " " + mdText(described(c)))
	switch {
	case c.Decision != nil:
		p.rules(c.Decision)
	case len(c.Road) > 0:
		p.road(c)
	}
	p.todo(c)
	p.gaps(c)
	for _, n := range c.Next {
		text := "Further along the road, " + mdText(n.Environment) + " would say: **" + mdText(string(n.Verdict)) + "**"
		if len(n.Rules) > 0 {
			text += ", because of " + mdText(joined(n.Rules, "and"))
		}
		p.line(text + ".")
	}
	p.foot(c)
	return nil
}

// page writes Markdown. What is handed to line must be escaped already.
type page struct {
	b *bytes.Buffer
	o Options
}

// line writes a paragraph.
func (p *page) line(text string) { p.b.WriteString(strings.TrimRight(text, " ") + "\n\n") }

// table writes a table; cells must be escaped already.
func (p *page) table(head []string, rows [][]string) {
	p.b.WriteString("| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat(" --- |", len(head)) + "\n")
	for _, r := range rows {
		p.b.WriteString("| " + strings.Join(r, " | ") + " |\n")
	}
	p.b.WriteByte('\n')
}

// folded writes something that opens at a click.
func (p *page) folded(title string, inside func()) {
	p.line("<details><summary>" + title + "</summary>")
	inside()
	p.line("</details>")
}

func (p *page) rules(d *touchstone.Decision) {
	var rows [][]string
	for _, st := range []standing{refusing, stalling, warned, waived} {
		for _, r := range reasons(d, st) {
			rows = append(rows, p.ruleRow(st, r))
		}
	}
	if len(rows) > 0 {
		p.table([]string{"", "rule", "what was seen", "what to do"}, rows)
	}
	p.line(heading(passing, len(reasons(d, passing))) + ". " + heading(idle, len(reasons(d, idle))) + ".")
}

func (p *page) ruleRow(st standing, r *touchstone.Reason) []string {
	l := st.look()
	seen := p.clipped(r.Seen)
	var do []string
	for _, a := range asides(st, r, p.o.day) {
		if fix, isFix := strings.CutPrefix(a, "fix: "); isFix {
			do = append([]string{"**" + p.clipped(fix) + "**"}, do...)
			continue
		}
		do = append(do, p.clipped(a))
	}
	return []string{l.sign(p.o.ASCII) + " " + l.word, mdText(r.Rule), seen, strings.Join(do, "<br>")}
}

func (p *page) clipped(text string) string { return mdText(cut(visible(text), longest, "…")) }

func (p *page) road(c *touchstone.Check) {
	head := []string{"rule"}
	for i := range c.Road {
		head = append(head, mdText(c.Road[i].Place.Environment))
	}
	var marks, whys [][]string
	rows := rowsOf(c.Road)
	for i := range rows {
		if rows[i].worst() >= passing {
			continue
		}
		cells := []string{mdText(rows[i].rule)}
		for _, why := range rows[i].reasons {
			l := idle.look()
			if why != nil {
				l = stand(why).look()
			}
			cells = append(cells, l.sign(p.o.ASCII)+" "+l.word)
		}
		marks = append(marks, cells)
		whys = append(whys, p.ruleRow(rows[i].worst(), rows[i].spokesman()))
	}
	if len(marks) == 0 {
		return
	}
	p.table(head, marks)
	p.folded("Why", func() { p.table([]string{"", "rule", "what was seen", "what to do"}, whys) })
}

// todo writes the upgrades that clear most, who has to act, and the holes in the
// order in which to mend them.
func (p *page) todo(c *touchstone.Check) {
	all := holes(c)
	if len(all) == 0 {
		return
	}
	most := pressing(all)
	for i, st := range steps(c, most) {
		p.b.WriteString(strconv.Itoa(i+1) + ". " + mdText(st.actionable("→")) + ": " + st.effect(len(most)) + "\n")
	}
	p.b.WriteByte('\n')
	if base, application := divided(c, most); base != "" || application != "" {
		if base != "" {
			p.b.WriteString("- for the base's owner: " + base + " in " + mdText(baseName(c)) + "\n")
		}
		if application != "" {
			p.b.WriteString("- for the application: " + application + "\n")
		}
		p.b.WriteByte('\n')
	}
	shown := all
	if !p.o.Verbose {
		shown = all[:min(len(all), 2*mostHoles)]
	}
	p.folded(counted(len(all), "vulnerability")+", the most urgent first", func() {
		rows := make([][]string, len(shown))
		for i := range shown {
			rows[i] = p.holeRow(&shown[i])
		}
		p.table([]string{"how soon", "CVSS", "vulnerability", "in", "fixed in", "whose", "here"}, rows)
		if n := len(all) - len(shown); n > 0 {
			p.line(fmt.Sprintf("… and %d more: `-o json`", n))
		}
	})
}

func (p *page) holeRow(h *hole) []string {
	m := h.matches[0]
	id := mdText(h.id)
	if m.KnownExploited {
		id += " (known to be exploited)"
	}
	here := "let pass"
	if h.standing != idle {
		here = h.standing.look().word
	}
	return []string{soon(h.urgency, false), score(m), id, p.clipped(packages(h)), p.clipped(fixedIn(m)), mdText(whose(m.Origin)), here}
}

func (p *page) gaps(c *touchstone.Check) {
	if len(c.Gaps) == 0 {
		return
	}
	few := c.Gaps[:min(len(c.Gaps), mostHoles)]
	p.folded(counted(len(c.Gaps), "part")+" could not be read", func() {
		rows := make([][]string, len(few))
		for i := range few {
			g := &few[i]
			rows[i] = []string{mdText(string(g.Kind)), p.clipped(g.Path), mdText(g.Reader), p.clipped(g.Reason)}
		}
		p.table([]string{"kind", "path", "reader", "why"}, rows)
		if n := len(c.Gaps) - len(few); n > 0 {
			p.line(fmt.Sprintf("… and %d more: `-o json`", n))
		}
	})
}

// foot says when and by which rules.
func (p *page) foot(c *touchstone.Check) {
	decisions := c.Decisions()
	if len(decisions) == 0 {
		return
	}
	d := decisions[len(decisions)-1]
	parts := []string{mdText(c.Tool)}
	if !d.At.IsZero() {
		parts = append(parts, mdText(p.o.clock(d.At)))
	}
	if d.RulesVersion != "" {
		parts = append(parts, "rules "+mdText(d.RulesVersion.Short()))
	}
	if text := confirmed(c, p.o); text != "" {
		parts = append(parts, "advisories: "+mdText(text))
	}
	p.b.WriteString("<sub>" + strings.Join(parts, " · ") + "</sub>\n")
}
