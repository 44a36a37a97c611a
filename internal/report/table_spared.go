package report

import (
	"strconv"

	"touchstone.dev/touchstone"
)

// fewSpared is how many holes that do not apply are shown with their proof.
const fewSpared = 3

// spared lists the holes that fit a package and cannot be used here, each with
// its proof, so that nobody takes them for overlooked.
func (s *screen) spared(c *touchstone.Check) {
	var all []*touchstone.Match
	seen := map[string]bool{}
	for i := range c.Matches {
		m := &c.Matches[i]
		if key := m.ID + "\x00" + m.Package.Name; !m.Applies && !seen[key] {
			seen[key] = true
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return
	}
	s.heading("Does not apply here, with proof: " + counted(len(all), "vulnerability"))
	most := fewSpared
	if s.o.Verbose {
		most = len(all)
	}
	for _, m := range all[:min(most, len(all))] {
		s.entry(2, labelWidth, cell{m.ID, normal}, cell{m.Package.Name + ": " + m.Why, faint})
	}
	if n := len(all) - most; n > 0 {
		s.text(2, faint, s.ellipsis()+" and "+strconv.Itoa(n)+" more: -v")
	}
}
