package rules

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// givenKeys are what a case may say besides the fields of the evidence.
func givenKeys() []string {
	return []string{"artifact", "environment", "place", "occasion", "user", "at", "unseen", "problem", "false",
		"workload", "settings", "login", "drift", "execution", "started", "promoted", "asker", "approvals", "freezes", "let-in", "runs", "findings", "glass",
		"matches", "upgrades", "coverage", "confirmed", "index", "lineage", "waivers"}
}

// giving builds the case that a team describes.
type giving struct {
	*caseLoader
	fields   map[string]int
	evidence *touchstone.Evidence
	c        touchstone.Case
}

func (g *giving) read(n *node) touchstone.Case {
	g.c.Now = g.moment(n, "at", g.now)
	g.evidence.Schema, g.evidence.Kind = touchstone.SchemaEvidence, touchstone.KindImage
	g.evidence.Created = g.c.Now
	g.evidence.OS = touchstone.OS{ID: "debian", Version: "12"}
	g.evidence.Configuration.User = "65532"
	for _, e := range n.entries {
		if i, ok := g.fields[e.key.text]; ok {
			g.decode(e.value, reflect.ValueOf(g.evidence).Elem().Field(i), e.key.text)
		}
	}
	g.complete(n)
	g.artifact(n.get("artifact"))
	g.place(n)
	g.knowledge(n)
	g.workload(n)
	g.history(n)
	if u := n.get("user"); u != nil {
		g.c.Question.User, _ = g.word(u, "user")
	}
	if p := n.get("problem"); p != nil {
		g.c.Problem, _ = g.word(p, "problem")
	}
	if f := n.get("false"); f != nil {
		g.c.False, _ = g.word(f, "false")
	}
	if unseen := n.get("unseen"); g.c.Problem == "" && (unseen == nil || g.oneOf(unseen, "unseen", []string{"true", "false"}) == "false") {
		g.c.Evidence = g.evidence
	}
	g.waivers(n.get("waivers"))
	return g.c
}

func (g *giving) moment(n *node, key string, otherwise time.Time) time.Time {
	v := n.get(key)
	if v == nil {
		return otherwise
	}
	t, _, _ := g.day(v, key)
	return t
}

// complete counts what an inspection would have counted.
func (g *giving) complete(n *node) {
	s := &g.evidence.Surface
	if n.get("surface").get("size") == nil {
		for _, list := range [][]string{s.Setuid, s.Capabilities, s.Shells, s.PackageManagers, s.Interpreters, s.NetworkTools, s.DebugTools, s.LoginDaemons, s.WorldWritable} {
			s.Size += len(list)
		}
	}
	if n.get("surface").get("entrypointKnown") == nil {
		s.EntrypointKnown = true
	}
}

func (g *giving) artifact(n *node) {
	a := &g.c.Artifact
	a.Kind, a.Platform = touchstone.KindImage, "linux/amd64"
	a.Digest = touchstone.Digest("sha256:" + strings.Repeat("0", 64))
	switch {
	case n == nil:
	case n.kind == kindScalar:
		a.Name = n.text
	default:
		g.decode(n, reflect.ValueOf(a).Elem(), "artifact")
	}
	g.evidence.Kind = a.Kind
}

func (g *giving) place(n *node) {
	given, labels := map[string]string{}, map[string]string{}
	if p := n.get("place"); p != nil && g.keys(p, placeKeys(), "a place") {
		for _, e := range p.entries {
			if e.key.text == "labels" {
				g.decode(e.value, reflect.ValueOf(&labels).Elem(), "labels")
				continue
			}
			given[e.key.text], _ = g.word(e.value, e.key.text)
		}
	}
	at := n.get("place")
	if env := n.get("environment"); env != nil {
		given["environment"], _ = g.word(env, "environment")
		at = env
	}
	p, err := placeGiven(given, labels, g.rules)
	if err != nil {
		message, hint, _ := strings.Cut(err.Error(), "\nhint: ")
		g.fault(at, message, hint)
	}
	g.c.Question = touchstone.Question{Occasion: touchstone.OccasionCheck, Place: p}
	if o := n.get("occasion"); o != nil {
		g.c.Question.Occasion = touchstone.Occasion(g.oneOf(o, "occasion", occasions()))
	}
}

// knowledge is what the advisories and the golden bases say; where the case is
// silent, they know every ecosystem and the image stands on a golden base.
func (g *giving) knowledge(n *node) {
	k := &g.c.Knowledge
	now := g.c.Now
	k.Index = touchstone.IndexState{Revision: touchstone.Digest("sha256:" + strings.Repeat("1", 64)), Built: now, KEV: now, EPSS: now}
	k.Lineage = touchstone.Lineage{Known: true, Base: &touchstone.Base{Name: "golden", Owner: "platform", Added: now}}
	if v := n.get("index"); v != nil {
		g.decode(v, reflect.ValueOf(&k.Index).Elem(), "index")
	}
	if v := n.get("lineage"); v != nil {
		k.Lineage = touchstone.Lineage{Known: true}
		g.decode(v, reflect.ValueOf(&k.Lineage).Elem(), "lineage")
	}
	if v := n.get("upgrades"); v != nil {
		g.decode(v, reflect.ValueOf(&k.Upgrades).Elem(), "upgrades")
	}
	confirmed := g.moment(n, "confirmed", now)
	if v := n.get("coverage"); v != nil {
		g.decode(v, reflect.ValueOf(&k.Coverage).Elem(), "coverage")
		return
	}
	g.matches(n.get("matches"))
	for i := range g.evidence.Packages {
		k.Coverage = covered(k.Coverage, g.evidence.Packages[i].Ecosystem, confirmed)
	}
}

// covered counts a package into the coverage of its ecosystem.
func covered(list []touchstone.Coverage, ecosystem string, confirmed time.Time) []touchstone.Coverage {
	for i := range list {
		if list[i].Ecosystem == ecosystem {
			list[i].Packages++
			return list
		}
	}
	c := touchstone.Coverage{Ecosystem: ecosystem, Packages: 1, Covered: ecosystem != "", Confirmed: confirmed}
	if !c.Covered {
		c.Why = "the package has no ecosystem"
	}
	return append(list, c)
}

// matches reads the vulnerabilities. A match applies and has the score that it
// names, and its package may be named alone.
func (g *giving) matches(n *node) {
	if n == nil {
		return
	}
	if n.kind != kindList {
		g.fault(n, "matches must be a list, not "+n.kind.String(), "- {id: CVE-2026-1, package: openssl, score: 9.8}")
		return
	}
	for _, item := range n.items {
		m := touchstone.Match{Applies: true, Scored: item.get("score") != nil, Published: g.c.Now, Severity: "unknown", Origin: touchstone.OriginUnknown}
		name := item.get("package")
		short := name != nil && name.kind == kindScalar
		if short {
			i := slices.IndexFunc(item.entries, func(e entry) bool { return e.value == name })
			copied := *item
			copied.entries = slices.Delete(slices.Clone(item.entries), i, i+1)
			item = &copied
			m.Package = g.packageNamed(name.text)
		}
		g.decode(item, reflect.ValueOf(&m).Elem(), "a match")
		if m.ID == "" {
			g.fault(item, "the match has no id", "id: CVE-2026-1")
		}
		g.c.Knowledge.Matches = append(g.c.Knowledge.Matches, m)
	}
}

func (g *giving) packageNamed(name string) touchstone.PackageRef {
	for i := range g.evidence.Packages {
		if p := &g.evidence.Packages[i]; p.Name == name {
			return touchstone.PackageRef{Name: p.Name, Version: p.Version, PURL: p.PURL, Ecosystem: p.Ecosystem, Path: p.Path}
		}
	}
	return touchstone.PackageRef{Name: name}
}

// waivers reads the waivers of a case, held to the same policy as any.
func (g *giving) waivers(n *node) {
	if n == nil {
		return
	}
	w := waiverLoader{reader: g.reader, rules: g.rules, now: g.c.Now, lines: map[string]int{}}
	g.c.Waivers = w.list(n)
}
