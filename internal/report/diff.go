package report

import (
	"bytes"
	"fmt"
	"strconv"

	"touchstone.dev/touchstone"
)

// mostChanges is how many lines of each kind of change stand for the rest.
const mostChanges = 20

// changeSection is one part of a diff, as both the table and Markdown show it:
// what changed, in a few words each.
type changeSection struct {
	title string
	rows  []changeRow
}

type changeRow struct {
	change touchstone.Change
	what   string // name
	detail string // what became of it
}

// changeSections puts a diff into words.
func changeSections(d *touchstone.Diff, arrow string) []changeSection {
	all := []changeSection{
		{"Vulnerabilities", matchRows(d.Matches)},
		{"Secrets left inside", secretRows(&d.Secrets)},
		{"Packages", packageRows(d.Packages, arrow)},
		{"Executables", fileRows(&d.Files)},
		{"Attack surface", surfaceRows(d.Surface)},
		{"Configuration", settingRows(d.Configuration, arrow)},
	}
	var some []changeSection
	for _, s := range all {
		if len(s.rows) > 0 {
			some = append(some, s)
		}
	}
	return some
}

func matchRows(m *touchstone.MatchChange) []changeRow {
	if m == nil {
		return nil
	}
	var rows []changeRow
	row := func(change touchstone.Change, m *touchstone.Match) {
		rows = append(rows, changeRow{change, m.ID, scored(m) + " in " + m.Package.Name + " " + m.Package.Version})
	}
	for i := range m.New {
		row(touchstone.Added, &m.New[i])
	}
	for i := range m.Gone {
		row(touchstone.Removed, &m.Gone[i])
	}
	return rows
}

func secretRows(s *touchstone.SecretChange) []changeRow {
	var rows []changeRow
	for i := range s.Added {
		rows = append(rows, changeRow{touchstone.Added, s.Added[i].Kind, secretPlace(&s.Added[i])})
	}
	for i := range s.Removed {
		rows = append(rows, changeRow{touchstone.Removed, s.Removed[i].Kind, secretPlace(&s.Removed[i])})
	}
	return rows
}

func packageRows(packages []touchstone.PackageChange, arrow string) []changeRow {
	rows := make([]changeRow, len(packages))
	for i := range packages {
		p := &packages[i]
		detail := p.From + p.To
		if p.From != "" && p.To != "" {
			detail = p.From + " " + arrow + " " + p.To
		}
		if len(p.Paths) > 1 {
			detail += " in " + counted(len(p.Paths), "place")
		}
		rows[i] = changeRow{p.Change, p.Name, detail}
	}
	return rows
}

func fileRows(f *touchstone.FileChanges) []changeRow {
	rows := make([]changeRow, len(f.Executables))
	for i := range f.Executables {
		x := &f.Executables[i]
		detail := string(x.Exec)
		if x.Change == touchstone.Changed {
			if x.From == x.To {
				detail += ", same content"
			}
			if x.FromMode != x.ToMode {
				detail += fmt.Sprintf(", mode %04o to %04o", x.FromMode, x.ToMode)
			}
		}
		rows[i] = changeRow{x.Change, x.Path, detail}
	}
	return rows
}

func surfaceRows(lists []touchstone.ListChange) []changeRow {
	var rows []changeRow
	for i := range lists {
		l := &lists[i]
		if len(l.Added) > 0 {
			rows = append(rows, changeRow{touchstone.Added, words(l.List), first(l.Added, 5)})
		}
		if len(l.Removed) > 0 {
			rows = append(rows, changeRow{touchstone.Removed, words(l.List), first(l.Removed, 5)})
		}
	}
	return rows
}

func settingRows(settings []touchstone.SettingChange, arrow string) []changeRow {
	rows := make([]changeRow, len(settings))
	for i := range settings {
		x := &settings[i]
		what, detail := words(x.Setting), x.From+x.To
		if x.Name != "" {
			what += " " + x.Name
		}
		if x.Change == touchstone.Changed && x.From+x.To != "" {
			detail = strconv.Quote(x.From) + " " + arrow + " " + strconv.Quote(x.To)
		}
		rows[i] = changeRow{x.Change, what, detail}
	}
	return rows
}

// difference says in a line how much changed.
func difference(d *touchstone.Diff) string {
	counts := map[touchstone.Change]int{}
	for i := range d.Packages {
		counts[d.Packages[i].Change]++
	}
	var parts []string
	for _, c := range []touchstone.Change{touchstone.Upgraded, touchstone.Downgraded, touchstone.Changed, touchstone.Added, touchstone.Removed} {
		if counts[c] > 0 {
			parts = append(parts, strconv.Itoa(counts[c])+" "+string(c))
		}
	}
	if len(parts) == 0 {
		return "the same packages"
	}
	return "packages: " + joined(parts, "and")
}

// layered compares the layers in a line.
func layered(l *touchstone.LayerChange) string {
	return fmt.Sprintf("%d of %s the same as before (there were %d); %s before, %s now",
		l.Shared, counted(l.To, "layer"), l.From, size(l.FromSize), size(l.ToSize))
}

// otherFiles counts what is not listed; "" where the files were not compared.
func otherFiles(f *touchstone.FileChanges) string {
	if !f.Known {
		return "not compared"
	}
	o := &f.Others
	return fmt.Sprintf("%s changed; of the other files %d added, %d removed, %d changed",
		counted(len(f.Executables), "executable"), o.Added, o.Removed, o.Changed)
}

// sign shows a change as a diff does.
func sign(c touchstone.Change) cell {
	switch c {
	case touchstone.Added:
		return cell{"+", good}
	case touchstone.Removed:
		return cell{"-", bad}
	default:
		return cell{"~", warning}
	}
}

func writeDiffTable(b *bytes.Buffer, d *touchstone.Diff, o Options) error {
	s := &screen{b: b, o: o}
	s.entry(0, 4, cell{"from", faint}, cell{d.From.Label(), strong})
	s.entry(0, 4, cell{"to", faint}, cell{d.To.Label(), strong})
	s.blank()
	s.text(2, normal, difference(d))
	s.text(2, normal, layered(&d.Layers))
	s.text(2, normal, "files: "+otherFiles(&d.Files))
	if d.Matches != nil {
		s.text(2, normal, fmt.Sprintf("vulnerabilities: %d new, %d gone, %d kept", len(d.Matches.New), len(d.Matches.Gone), d.Matches.Kept))
	}
	for _, section := range changeSections(d, s.arrow()) {
		s.heading(section.title)
		rows := section.rows
		if !o.Verbose {
			rows = rows[:min(len(rows), mostChanges)]
		}
		cells := make([][]cell, len(rows))
		for i, r := range rows {
			cells[i] = []cell{sign(r.change), {string(r.change), faint}, {r.what, normal}, {r.detail, normal}}
		}
		s.grid(2, []column{{"", 9, 1}, {"", 5, 6}, {"", 8, 16}, {"", 7, 16}}, cells)
		if n := len(section.rows) - len(rows); n > 0 {
			s.text(2, faint, s.ellipsis()+" and "+strconv.Itoa(n)+" more: -o json")
		}
	}
	return nil
}

func writeDiffMarkdown(b *bytes.Buffer, d *touchstone.Diff, o Options) error {
	p := &page{b: b, o: o}
	p.line("### From " + mdCode(d.From.Label()) + " to " + mdCode(d.To.Label()))
	p.line("- " + mdText(difference(d)) + "\n- " + mdText(layered(&d.Layers)) + "\n- files: " + mdText(otherFiles(&d.Files)))
	for _, section := range changeSections(d, "→") {
		rows := section.rows
		if !o.Verbose {
			rows = rows[:min(len(rows), 5*mostChanges)]
		}
		p.folded(section.title+": "+strconv.Itoa(len(section.rows)), func() {
			cells := make([][]string, len(rows))
			for i, r := range rows {
				cells[i] = []string{mdText(string(r.change)), p.clipped(r.what), p.clipped(r.detail)}
			}
			p.table([]string{"", "what", "how"}, cells)
			if n := len(section.rows) - len(rows); n > 0 {
				p.line(fmt.Sprintf("… and %d more: `-o json`", n))
			}
		})
	}
	return nil
}
