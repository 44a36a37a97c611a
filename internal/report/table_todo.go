package report

import (
	"slices"
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// How many lines stand for the rest, unless everything is wanted.
const (
	mostSteps = 3
	mostHoles = 15
	fewHoles  = 5 // where none of them fails a rule
	mostGaps  = 5
)

// todo writes what to do: the upgrades that clear most, who has to act, and what
// comes first.
func (s *screen) todo(c *touchstone.Check) {
	all := holes(c)
	if len(all) == 0 {
		return
	}
	pressing := pressing(all)
	if list := steps(c, pressing); len(list) > 0 {
		s.heading("Do this first")
		for i, st := range list {
			s.entry(2, 2, cell{strconv.Itoa(i+1) + ".", normal}, cell{st.actionable(s.arrow()) + ": " + st.effect(len(pressing)), strong})
		}
	}
	s.who(c, pressing)
	s.fixFirst(all)
}

// who says how the holes divide between the base image and the application.
func (s *screen) who(c *touchstone.Check, pressing []hole) {
	base, application := divided(c, pressing)
	if base+application == "" {
		return
	}
	s.heading("Who has to act")
	if base != "" {
		s.entry(2, labelWidth, cell{"the base's owner", normal}, cell{base + " in " + baseName(c), normal})
	}
	if application != "" {
		s.entry(2, labelWidth, cell{"the application", normal}, cell{application + " above the base", normal})
	}
}

// divided counts what the base and the application brought in; a hole that both
// brought in counts for both. Either is "" for nothing.
func divided(c *touchstone.Check, of []hole) (base, application string) {
	var holes, secrets [2]int
	for _, h := range of {
		var by [2]int
		for _, m := range h.matches {
			switch m.Origin {
			case touchstone.OriginBase:
				by[0] = 1
			case touchstone.OriginApplication:
				by[1] = 1
			default: // nobody knows
			}
		}
		holes[0], holes[1] = holes[0]+by[0], holes[1]+by[1]
	}
	if c.Lineage.Base != nil {
		for i := range c.Secrets {
			if l := c.Secrets[i].Layer; l >= 0 && l < c.Lineage.Layers {
				secrets[0]++
			} else {
				secrets[1]++
			}
		}
	}
	return amounts(holes[0], secrets[0]), amounts(holes[1], secrets[1])
}

func amounts(holes, secrets int) string {
	var parts []string
	if holes > 0 {
		parts = append(parts, counted(holes, "vulnerability"))
	}
	if secrets > 0 {
		parts = append(parts, counted(secrets, "secret"))
	}
	return joined(parts, "and")
}

func baseName(c *touchstone.Check) string {
	b := c.Lineage.Base
	if b == nil {
		return "its base"
	}
	text := b.Name
	if b.Owner != "" {
		text += " (" + b.Owner + ")"
	}
	if c.Lineage.Newer != "" {
		text += "; a newer one is approved: " + c.Lineage.Newer
	}
	return text
}

// fixFirst lists the holes, the most urgent first.
func (s *screen) fixFirst(all []hole) {
	most := fewHoles
	for _, h := range all {
		if h.standing <= warned {
			most = mostHoles
		}
	}
	if s.o.Verbose {
		most = len(all)
	}
	s.heading("Fix first, by SSVC's tree for who deploys")
	told := false // who brought a hole in
	rows := [][]cell{}
	for i := range all[:min(most, len(all))] {
		told = told || whose(all[i].matches[0].Origin) != string(touchstone.OriginUnknown)
		rows = append(rows, s.holeRow(&all[i]))
	}
	columns := []column{
		{"how soon", 9, 13}, {"CVSS", 8, 8}, {"vulnerability", 10, 17}, {"in", 7, 14}, {"fixed in", 6, 9}, {"whose", 2, 4}, {"here", 4, 10},
	}
	if !told {
		columns = slices.Delete(columns, 5, 6)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 5, 6)
		}
	}
	s.grid(2, columns, rows)
	if n := len(all) - most; n > 0 {
		s.text(2, faint, s.ellipsis()+" and "+strconv.Itoa(n)+" more: -o json")
	}
	for _, h := range all {
		if h.matches[0].KnownExploited {
			s.text(2, faint, "KEV: known to be exploited, says CISA")
			break
		}
	}
	s.unknownPoints(all)
}

func (s *screen) holeRow(h *hole) []cell {
	m := h.matches[0]
	l := h.standing.look()
	here := cell{l.sign(s.o.ASCII) + " " + l.word, l.style}
	if h.standing == idle {
		here = cell{idle.look().sign(s.o.ASCII) + " let pass", faint}
	}
	id := h.id
	if m.KnownExploited {
		id += " KEV"
	}
	origin := whose(m.Origin)
	for _, other := range h.matches[1:] {
		if whose(other.Origin) != origin {
			origin = "both"
		}
	}
	return []cell{
		{soon(h.urgency, s.o.Width < 110), normal}, {score(m), normal}, {id, normal}, {packages(h), normal},
		{fixedIn(m), normal}, {origin, faint}, here,
	}
}

// packages names the packages of a hole: "libssl3, libcrypto3 3.1.0".
func packages(h *hole) string {
	var names []string
	version, places := h.matches[0].Package.Version, 0
	seen := map[string]bool{}
	for _, m := range h.matches {
		places++
		if m.Package.Version != version {
			version = ""
		}
		if !seen[m.Package.Name] {
			seen[m.Package.Name] = true
			names = append(names, m.Package.Name)
		}
	}
	text := first(names, 2)
	if version != "" {
		text += " " + version
	}
	if len(names) == 1 && places > 1 {
		text += " in " + counted(places, "place")
	}
	return text
}

// unknownPoints says why the order is a range.
func (s *screen) unknownPoints(all []hole) {
	var points []string
	seen := map[string]bool{}
	for _, h := range all {
		for _, p := range h.urgency.Unknown {
			if !seen[p] {
				seen[p] = true
				points = append(points, p)
			}
		}
	}
	if len(points) == 0 {
		return
	}
	text := "a range, because nobody has told "
	if s.o.Width < 110 {
		text = "? at worst: nobody has told "
	}
	s.text(2, faint, text+joined(points, "or")+" for all of them")
}

// gaps lists what could not be read.
func (s *screen) gaps(c *touchstone.Check) {
	if len(c.Gaps) == 0 {
		return
	}
	s.heading("Could not be read: " + counted(len(c.Gaps), "part"))
	most := mostGaps
	if s.o.Verbose {
		most = len(c.Gaps)
	}
	for i := range c.Gaps[:min(most, len(c.Gaps))] {
		g := &c.Gaps[i]
		s.entry(2, labelWidth, cell{string(g.Kind), unsure}, cell{strings.TrimSpace(g.Path + " " + "(" + g.Reader + "): " + g.Reason), normal})
	}
	if n := len(c.Gaps) - most; n > 0 {
		s.text(2, faint, s.ellipsis()+" and "+strconv.Itoa(n)+" more: -o json")
	}
}
