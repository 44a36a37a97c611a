package report

import (
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// found writes what is inside an artifact, without any decision.
func (s *screen) found(c *touchstone.Check) {
	s.text(0, strong, c.Artifact.Label())
	s.blank()
	s.facts(c, nil)
	s.settings(&c.Configuration)
	s.software(c.Packages)
	s.surface(&c.Surface)
	s.leftBehind(c)
	s.gaps(c)
}

func (s *screen) settings(conf *touchstone.Configuration) {
	fact := func(label, text string) {
		if text != "" {
			s.entry(2, 10, cell{label, faint}, cell{text, normal})
		}
	}
	user := conf.User
	if user == "" {
		user = "none set, so root"
	}
	fact("user", user)
	fact("runs", strings.Join(append(append([]string{}, conf.Entrypoint...), conf.Command...), " "))
	fact("ports", strings.Join(conf.Ports, ", "))
}

// software counts the packages by ecosystem; all of them only where that is
// wanted.
func (s *screen) software(packages []touchstone.Package) {
	if len(packages) == 0 {
		return
	}
	s.heading(counted(len(packages), "package"))
	if s.o.Verbose {
		rows := make([][]cell, len(packages))
		for i := range packages {
			p := &packages[i]
			rows[i] = []cell{{p.Name, normal}, {p.Version, normal}, {p.Ecosystem, faint}, {p.Path, faint}}
		}
		s.grid(2, []column{{"name", 9, 12}, {"version", 8, 8}, {"ecosystem", 5, 6}, {"path", 4, 12}}, rows)
		return
	}
	var names []string // packages are sorted by ecosystem
	counts := map[string]int{}
	for i := range packages {
		e := packages[i].Ecosystem
		if counts[e] == 0 {
			names = append(names, e)
		}
		counts[e]++
	}
	for _, e := range names {
		label := e
		if label == "" {
			label = "of no ecosystem"
		}
		s.entry(2, labelWidth, cell{label, normal}, cell{strconv.Itoa(counts[e]), normal})
	}
}

func (s *screen) surface(f *touchstone.Surface) {
	s.heading("Attack surface: " + strconv.Itoa(f.Size) + " in all")
	for _, l := range f.Lists() {
		n := 3
		switch {
		case len(l.Items) == 0:
			continue
		case s.o.Verbose:
			n = len(l.Items)
		case l.Name == "needed":
			continue // they have to be there
		}
		s.entry(2, labelWidth, cell{words(l.Name), normal}, cell{strconv.Itoa(len(l.Items)) + ": " + first(l.Items, n), normal})
	}
	if !f.EntrypointKnown {
		s.text(2, faint, "the entrypoint could not be found inside, so what it needs is not known")
	}
}

// words writes the JSON name of a list as people do: "package managers".
func words(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// leftBehind lists secrets and unpinned dependencies.
func (s *screen) leftBehind(c *touchstone.Check) {
	if len(c.Secrets) > 0 {
		s.heading("Left behind: " + counted(len(c.Secrets), "secret"))
		for i := range c.Secrets {
			x := &c.Secrets[i]
			s.entry(2, labelWidth, cell{x.Kind, bad}, cell{secretPlace(x), normal})
		}
	}
	if len(c.Pins) > 0 {
		s.heading("Not pinned: " + counted(len(c.Pins), "dependency"))
		for i := range c.Pins {
			p := &c.Pins[i]
			s.entry(2, labelWidth, cell{p.Tool + " " + p.What, warning}, cell{p.Where + ": " + p.Why, normal})
		}
	}
}

// secretPlace says where a secret lies.
func secretPlace(x *touchstone.Secret) string {
	text := x.Path
	if x.Line > 0 {
		text += ", line " + strconv.Itoa(x.Line)
	}
	if x.Layer >= 0 {
		text += ", layer " + strconv.Itoa(x.Layer+1)
	}
	if x.Buried {
		text += ", hidden by a later layer and still readable"
	}
	return text
}
