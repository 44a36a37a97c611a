package rules

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"touchstone.dev/touchstone"
)

// group is a heading and the built-in rules below it.
type group struct {
	title string
	rules []string
}

// groups puts the built-in rules under the headings by which people look for
// them. Custom rules come last, under their own.
func groups() []group {
	return []group{
		{"Vulnerabilities", []string{"cvss", "unfixable", "known-exploited", "epss", "unscored", "fix-available-for", "mend-within"}},
		{"What is not known", []string{"no-advisories", "stale-advisories", "gaps", "unseen"}},
		{"How it was built", []string{"secrets", "unpinned", "no-golden-base", "old-base", "image-age", "allowed-registries"}},
		{"What is inside", []string{"denied-packages", "required-packages", "licences", "runs-as-root", "setuid", "file-capabilities", "shells",
			"package-managers", "interpreters", "network-tools", "debug-tools", "login-daemons", "world-writable", "surface", "executables", "unneeded-libraries"}},
		{"The road", []string{"promoted", "soak", "approvals", "frozen", "improves"}},
		{"What the workload sets", []string{"privileged", "added-capabilities", "host-access", "own-command"}},
		{"What runs", []string{"restart", "run-unknown", "run-unjudged", "change", "login", "replace-after", "replace-deadline", "after-deadline", "rebuild-after"}},
	}
}

// section is a group with those of its rules that are there.
type section struct {
	title string
	rows  []*touchstone.Rule
}

func sections(r *touchstone.Rules) []section {
	var out []section
	for _, g := range groups() {
		s := section{title: g.title}
		for _, name := range g.rules {
			if row := r.Row(name); row != nil {
				s.rows = append(s.rows, row)
			}
		}
		out = append(out, s)
	}
	own := section{title: "Rules of your own"}
	for i := range r.Rows {
		if !isMeasure(r.Rows[i].Name) {
			own.rows = append(own.rows, &r.Rows[i])
		}
	}
	return slices.DeleteFunc(append(out, own), func(s section) bool { return len(s.rows) == 0 })
}

// Show writes the rules as people read them: environments as columns, and below
// each row why it is there, who answers for it and what it serves. width is that
// of the terminal, 0 when there is none; a table that does not fit is written as
// a list.
func Show(w io.Writer, r *touchstone.Rules, width int, color bool) error {
	p := &page{color: color}
	p.table(r, width)
	p.lists(r)
	p.places(r)
	p.classes(r)
	p.policy(r)
	p.bases(r)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page is a text in the making.
type page struct {
	b     strings.Builder
	color bool
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.b, format, args...)
	p.b.WriteByte('\n')
}

// paint puts a text into the colour of an effect, after it was padded.
func (p *page) paint(s string, e touchstone.Effect) string {
	if !p.color {
		return s
	}
	switch {
	case e == touchstone.EffectNone:
		return "\x1b[2m" + s + "\x1b[0m"
	case e.Soft():
		return "\x1b[33m" + s + "\x1b[0m"
	default:
		return "\x1b[31m" + s + "\x1b[0m"
	}
}

func (p *page) bold(s string) string {
	if !p.color {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// keep is what after-deadline says where nothing is to be stopped.
const keep = "keep"

// cellText is the cell as the file writes it, with "any" where a limit could
// stand.
func cellText(name string, c touchstone.Cell) string {
	m, ok := measure(name)
	switch {
	case !ok || c.Effect != touchstone.EffectNone:
		return c.String()
	case m.Takes.Limited():
		return "any"
	case m.Takes == touchstone.TakesEnd:
		return keep
	}
	return c.String()
}

func (p *page) table(r *touchstone.Rules, width int) {
	first := 0
	columns := make([]int, len(r.Environments))
	for i, e := range r.Environments {
		columns[i] = utf8.RuneCountInString(Printable(e))
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		first = max(first, utf8.RuneCountInString(Printable(row.Name)))
		for c := range row.Cells {
			columns[c] = max(columns[c], utf8.RuneCountInString(cellText(row.Name, row.Cells[c])))
		}
	}
	total := first + 4
	for _, c := range columns {
		total += c + 2
	}
	narrow := width > 0 && total > width
	if !narrow {
		head := pad("", first+4)
		for i, e := range r.Environments {
			head += pad(Printable(e), columns[i]+2)
		}
		p.line("%s", p.bold(strings.TrimRight(head, " ")))
	}
	for _, s := range sections(r) {
		p.line("%s", p.bold(s.title))
		for _, row := range s.rows {
			if narrow {
				p.list(r, row)
			} else {
				p.row(row, first, columns)
			}
			p.about(row, width)
		}
	}
}

func (p *page) row(row *touchstone.Rule, first int, columns []int) {
	line := "  " + pad(Printable(row.Name), first+2)
	for i, c := range row.Cells {
		text := cellText(row.Name, c)
		gap := ""
		if i < len(row.Cells)-1 {
			gap = strings.Repeat(" ", columns[i]-utf8.RuneCountInString(text)+2)
		}
		line += p.paint(text, c.Effect) + gap
	}
	p.line("%s", line)
}

func (p *page) list(r *touchstone.Rules, row *touchstone.Rule) {
	p.line("  %s", Printable(row.Name))
	for i, c := range row.Cells {
		p.line("    %s: %s", Printable(r.Environments[i]), p.paint(cellText(row.Name, c), c.Effect))
	}
}

// about writes what a row says besides its cells.
func (p *page) about(row *touchstone.Rule, width int) {
	for _, s := range remarks(row) {
		for _, line := range wrap(s, width-6) {
			p.line("      %s", line)
		}
	}
}

// remarks are the sentences about a row, ready to be shown.
func remarks(row *touchstone.Rule) []string {
	var out []string
	if row.Implied {
		return []string{"(asked although the rules have no such row)"}
	}
	if row.Because != "" {
		out = append(out, "because "+Printable(row.Because))
	}
	m, _ := measure(row.Name)
	if len(row.List) > 0 {
		out = append(out, m.List+": "+Printable(strings.Join(row.List, ", ")))
	}
	if c, ok := row.When.(*compiled); ok {
		out = append(out, "fails when "+Printable(c.text))
	}
	if row.Fix != "" {
		out = append(out, "fix: "+Printable(row.Fix))
	}
	if row.Grace > 0 {
		out = append(out, "only alerts for "+touchstone.Minutes(row.Grace)+" after the start")
	}
	if row.ThroughFreezes {
		out = append(out, "no freeze holds it up")
	}
	var last []string
	if row.Owner != "" {
		last = append(last, "owner "+Printable(row.Owner))
	}
	if len(row.Aligns) > 0 {
		last = append(last, "serves "+Printable(strings.Join(row.Aligns, ", ")))
	}
	if !row.From.IsZero() {
		last = append(last, "begins on "+row.From.UTC().Format("2006-01-02"))
	}
	if len(last) > 0 {
		out = append(out, strings.Join(last, "; "))
	}
	return out
}

// wrap breaks a text at spaces; a width below 20 leaves it whole.
func wrap(s string, width int) []string {
	if width < 20 || utf8.RuneCountInString(s) <= width {
		return []string{s}
	}
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}

// titled is a heading with sentences below it.
type titled struct {
	title string
	lines []string
}

// lists are what the rules say besides the table, in sentences.
func lists(r *touchstone.Rules) []titled {
	all := append(calendarText(r), writableText(r), guardText(r), replaceText(r))
	return slices.DeleteFunc(all, func(t titled) bool { return len(t.lines) == 0 })
}

func (p *page) lists(r *touchstone.Rules) {
	for _, list := range lists(r) {
		p.b.WriteByte('\n')
		p.line("%s", p.bold(list.title))
		for _, s := range list.lines {
			p.line("  %s", s)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// bases writes what is asked of a base that is to be approved.
func (p *page) bases(r *touchstone.Rules) {
	text := goldenText(r)
	if len(text) == 0 {
		return
	}
	p.line("")
	p.line("%s", p.bold("Golden bases"))
	for _, s := range text {
		for _, l := range wrap(s, 96) {
			p.line("  %s", l)
		}
	}
}
