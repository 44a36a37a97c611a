package rules

import (
	"strings"

	"touchstone.dev/touchstone"
)

// places writes what a place is, row by row.
func (p *page) places(r *touchstone.Rules) {
	p.b.WriteByte('\n')
	p.line("%s", p.bold("Places")+" (the first that matches)")
	for i := range r.Places {
		p.line("  %s", placeText(&r.Places[i]))
	}
	p.line("  everything else: %s, application", Printable(r.Environments[len(r.Environments)-1]))
}

// placeText says what a row of places matches and what it then is.
func placeText(row *touchstone.PlaceRule) string {
	var match, is []string
	say := func(list *[]string, what, value string) {
		if value != "" {
			*list = append(*list, strings.TrimSpace(what+" "+Printable(value)))
		}
	}
	say(&match, "cluster", row.Cluster)
	say(&match, "namespace", row.Namespace)
	say(&match, "node", row.Node)
	for _, k := range sortedKeys(row.Labels) {
		say(&match, "label", k+"="+row.Labels[k])
	}
	say(&is, "", row.Place.Environment)
	say(&is, "", string(row.Place.Class))
	say(&is, "", row.Place.Sensitivity)
	say(&is, "exposure", string(row.Place.Exposure))
	say(&is, "impact", string(row.Place.Impact))
	say(&is, "owner", row.Place.Owner)
	if len(match) == 0 {
		match = []string{"anywhere"}
	}
	return strings.Join(match, ", ") + ": " + strings.Join(is, ", ")
}

// classes writes what is different for a class of workload.
func (p *page) classes(r *touchstone.Rules) {
	if len(r.Classes) == 0 {
		return
	}
	p.b.WriteByte('\n')
	p.line("%s", p.bold("Classes"))
	for i := range r.Classes {
		p.line("  %s", classText(&r.Classes[i]))
	}
}

func classText(c *touchstone.ClassRule) string {
	var cells []string
	for _, name := range sortedKeys(c.Cells) {
		cells = append(cells, Printable(name)+" "+cellText(name, c.Cells[name]))
	}
	if len(cells) == 0 {
		cells = []string{"as the rows say"}
	}
	return Printable(string(c.Class)) + " in " + Printable(strings.Join(c.Where, ", ")) + ": " + strings.Join(cells, ", ")
}
