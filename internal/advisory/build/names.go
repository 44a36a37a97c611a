package build

import (
	"slices"
	"strings"
)

// Canonical returns the one spelling of an advisory's name.
func Canonical(name string) string {
	name = strings.TrimSpace(name)
	if len(name) > 5 {
		switch prefix := name[:5]; {
		case strings.EqualFold(prefix, "GHSA-"):
			return "GHSA-" + strings.ToLower(name[5:])
		case strings.EqualFold(prefix[:4], "CVE-"):
			return strings.ToUpper(name)
		}
	}
	return name
}

// Bulletin reports whether the name is of a kind that may tell of several holes
// at once. Such a name is never an alias: it would merge holes that have nothing
// in common.
func Bulletin(name string) bool {
	for _, prefix := range []string{
		"DSA-", "DLA-", "DTSA-", "ELA-", "USN-", "LSN-", "RHSA-", "RHBA-", "RHEA-", "ALSA-", "ALBA-", "ALEA-", "RLSA-", "RLBA-", "RLEA-", "RXSA-",
		"SUSE-", "openSUSE-", "MGASA-", "MGAA-", "OESA-", "openEuler-SA-", "ELSA-", "ALAS", "PHSA-", "CLSA-", "GLSA-", "FEDORA-", "ROOT-BULLETIN-",
	} {
		if strings.HasPrefix(name, prefix) {
			return !strings.HasPrefix(name, "SUSE-CVE-")
		}
	}
	return false
}

// cveIn returns the CVE identifier that a name stands for: itself, or the end of
// a distribution's own name for it ("DEBIAN-CVE-2024-3094"). It returns "" when
// there is none.
func cveIn(name string) string {
	i := 0
	if !strings.HasPrefix(name, "CVE-") {
		if i = strings.LastIndex(name, "-CVE-") + 1; i == 0 {
			return ""
		}
	}
	id := name[i:]
	year, number, _ := strings.Cut(id[len("CVE-"):], "-")
	if len(year) != 4 || len(number) < 4 || !digits(year) || !digits(number) {
		return ""
	}
	return id
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// links says how a record is tied to other names.
type links struct {
	same []string // other names of its own hole
	// holes are the names of several holes that it tells of; then its own name
	// is attached to each and is none of theirs.
	holes []string
	// mentions are bulletins that name its hole.
	mentions []string
}

// linksOf judges by the record's own words alone, so that the order in which
// records are read changes nothing.
func linksOf(id string, aliases, upstream, related []string) links {
	var l links
	if Bulletin(id) {
		told := named(id, slices.Concat(upstream, aliases))
		if len(told) == 0 {
			for _, r := range named(id, related) { // older bulletins
				if cveIn(r) != "" {
					told = append(told, r)
				}
			}
		}
		l.split(told)
		return l
	}
	for _, a := range named(id, aliases) {
		if Bulletin(a) {
			l.mentions = append(l.mentions, a)
		} else {
			l.same = append(l.same, a)
		}
	}
	l.split(named(id, upstream))
	if c := cveIn(id); c != "" && c != id {
		l.same = append(l.same, c)
	}
	return l
}

// split takes a list of upstream names for aliases when they can only be one
// hole: a single name, or one CVE under the names of several databases.
func (l *links) split(names []string) {
	var told, cves []string
	others := 0
	for _, n := range names {
		switch c := cveIn(n); {
		case Bulletin(n):
			l.mentions = append(l.mentions, n)
			continue
		case c == "":
			others++
		case !slices.Contains(cves, c):
			cves = append(cves, c)
		}
		told = append(told, n)
	}
	if len(told) == 1 || len(cves) == 1 && others <= 1 {
		l.same = append(l.same, told...)
		return
	}
	l.holes = told
}

// named cleans a list of names: canonical, valid, each once, without id itself.
func named(id string, list []string) []string {
	var clean []string
	for _, n := range list {
		n = Canonical(n)
		if n == "" || n == id || len(n) > 256 || strings.ContainsFunc(n, func(r rune) bool { return r <= ' ' || r == 0x7f }) || slices.Contains(clean, n) {
			continue
		}
		clean = append(clean, n)
	}
	return clean
}

// groups is a union-find over names.
type groups struct {
	number map[string]uint32
	names  []string
	parent []uint32
}

func newGroups() *groups { return &groups{number: map[string]uint32{}} }

// of returns the number of a name, which it may give it.
func (g *groups) of(name string) uint32 {
	n, ok := g.number[name]
	if !ok {
		n = uint32(len(g.names))
		g.number[name] = n
		g.names = append(g.names, name)
		g.parent = append(g.parent, n)
		if c := cveIn(name); c != "" && c != name {
			g.join(n, g.of(c))
		}
	}
	return n
}

// root returns the number that stands for the group of n.
func (g *groups) root(n uint32) uint32 {
	for g.parent[n] != n {
		g.parent[n] = g.parent[g.parent[n]]
		n = g.parent[n]
	}
	return n
}

// join makes one group of two; the lower number stands for it, so that the
// result does not depend on the order of joining.
func (g *groups) join(a, b uint32) {
	a, b = g.root(a), g.root(b)
	if a > b {
		a, b = b, a
	}
	g.parent[b] = a
}
