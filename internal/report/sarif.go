package report

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// writeSARIF writes SARIF 2.1.0 (OASIS) as GitHub's code scanning shows it best.
// It titles an alert by its rule, so a vulnerability is a rule of its own, named
// by its id and with its score as security-severity, and everything else comes
// under the row of the rules file that fails. There is one result for each
// package that a failing vulnerability is in and for each other failing thing;
// what no rule has anything against is not a result.
func writeSARIF(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	s := &sarifRun{c: c, o: o, index: map[string]int{}, rules: []sarifRule{}, results: []sarifResult{}}
	s.vulnerabilities()
	s.things()
	slices.SortStableFunc(s.results, func(x, y sarifResult) int { return cmp.Compare(x.standing, y.standing) })
	verdicts := map[string]string{}
	for _, d := range c.Decisions() {
		verdicts[d.Place.Environment] = string(d.Verdict)
	}
	name, version, _ := strings.Cut(c.Tool, " ")
	return encode(b, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0",
		Runs: []sarifDocument{{
			Tool: sarifTool{sarifDriver{Name: cmp.Or(name, "touchstone"), Version: version, InformationURI: "https://touchstone.dev", Rules: s.rules}},
			Automation: sarifAutomation{
				ID: "touchstone/" + visible(repository(c.Artifact.Label())) + "/",
			},
			Bases: map[string]sarifBase{insideArtifact: {sarifMessage{Text: "the root of " + sarifText(c.Artifact.Label())}}},
			Properties: map[string]any{
				"digest": c.Artifact.Digest, "verdicts": verdicts,
			},
			Results: s.results,
		}},
	})
}

// insideArtifact is the base of URIs that name files inside the artifact, so
// that they are not taken for files of the repository.
const insideArtifact = "ARTIFACT"

// sarifRun gathers rules and results.
type sarifRun struct {
	c       *touchstone.Check
	o       Options
	index   map[string]int
	rules   []sarifRule
	results []sarifResult
}

// vulnerabilities files a result for each package of each failing hole.
func (s *sarifRun) vulnerabilities() {
	decisions := s.c.Decisions()
	said := map[string]string{} // id → what was allowed, in the strictest place
	for i := range decisions {
		for j := range decisions[i].Reasons {
			r := &decisions[i].Reasons[j]
			if stand(r) > warned {
				continue
			}
			for _, id := range r.Failing {
				said[id] = bound(r)
			}
		}
	}
	for _, h := range holes(s.c) {
		if h.standing > warned {
			continue
		}
		rule := s.vulnerabilityRule(&h)
		for _, m := range h.matches {
			text := m.ID + " (" + scored(m) + ") in " + m.Package.Name + " " + m.Package.Version + ": " +
				doing(h.standing) + " by " + joined(h.rules, "and")
			if said[m.ID] != "" {
				text += " (" + said[m.ID] + ")"
			}
			if m.Fixable() {
				text += ". Fix: upgrade to " + m.FixedVersions[0] + "."
			} else {
				text += ". No fix is known."
			}
			at := location{path: m.Package.Path, layer: -1}
			s.file(h.standing, rule, text, at, &m.Package, m.ID, m.Package.Name, m.Package.Path)
		}
	}
}

func (s *sarifRun) vulnerabilityRule(h *hole) int {
	m := h.matches[0]
	about := m.ID
	if m.Summary != "" {
		about += ": " + m.Summary
	}
	p := map[string]any{"tags": append([]string{"security", "vulnerability"}, h.rules...), "precision": "very-high"}
	if m.Scored {
		p["security-severity"] = strconv.FormatFloat(m.Score, 'f', 1, 64)
	}
	help := []string{about, "Score: " + scored(m), "Urgency: " + soon(h.urgency, false), "Fixed in: " + fixedIn(m)}
	if len(m.Aliases) > 0 {
		help = append(help, "Also known as: "+first(m.Aliases, 10))
	}
	return s.rule(sarifRule{
		ID: visible(m.ID), Name: "Vulnerability",
		Short: sarifLine(about), Full: sarifLine(about), Help: sarifLines(help...),
		HelpURI: "https://osv.dev/vulnerability/" + relativeURI(m.ID), Default: sarifDefault{level(h.standing)}, Properties: p,
	})
}

// things files a result for everything else that a rule fails for, and for each
// rule that was waived or could not be asked.
func (s *sarifRun) things() {
	isHole := map[string]bool{}
	for i := range s.c.Matches {
		isHole[s.c.Matches[i].ID] = true
	}
	rows := rowsOf(s.c.Decisions())
	for i := range rows {
		r := rows[i].spokesman()
		st := stand(r)
		if st > waived {
			continue
		}
		rest := []string{}
		for _, f := range r.Failing {
			if !isHole[f] {
				rest = append(rest, f)
			}
		}
		if len(r.Failing) > 0 && len(rest) == 0 {
			continue // all of them are vulnerabilities
		}
		rule := s.tableRule(r, st)
		if len(rest) == 0 {
			s.file(st, rule, sentence(r, st, r.Seen, s.o), location{layer: -1}, nil, r.Rule)
			s.suppress(r, st)
			continue
		}
		for _, f := range rest {
			s.file(st, rule, sentence(r, st, f, s.o), locate(s.c, r, f, s.o), nil, r.Rule, f)
		}
	}
}

func (s *sarifRun) tableRule(r *touchstone.Reason, st standing) int {
	about := r.Because
	for _, m := range touchstone.Measures() {
		if m.Name == r.Rule {
			about = m.About
		}
	}
	about = cmp.Or(about, "a rule of the rules of the road")
	help := []string{about}
	if r.Fix != "" {
		help = append(help, "Fix: "+r.Fix)
	}
	return s.rule(sarifRule{
		ID: visible(r.Rule), Name: visible(r.Rule),
		Short: sarifLine(r.Rule + ": " + about), Full: sarifLine(about), Help: sarifLines(help...),
		Default: sarifDefault{level(st)}, Properties: map[string]any{"tags": append([]string{"security"}, r.Aligns...)},
	})
}

// rule returns the index of the rule, which is added if it is new. GitHub takes
// twenty tags at most.
func (s *sarifRun) rule(r sarifRule) int {
	if i, there := s.index[r.ID]; there {
		return i
	}
	tags := r.Properties["tags"].([]string)
	for i := range tags {
		tags[i] = visible(tags[i])
	}
	r.Properties["tags"] = tags[:min(len(tags), 20)]
	s.index[r.ID] = len(s.rules)
	s.rules = append(s.rules, r)
	return s.index[r.ID]
}

// file adds a result. What identifies it must hold from run to run and from one
// version of the artifact to the next.
func (s *sarifRun) file(st standing, rule int, text string, at location, pkg *touchstone.PackageRef, identity ...string) {
	name := fingerprint(append([]string{repository(s.c.Artifact.Label())}, identity...))
	r := sarifResult{
		standing: st, RuleID: s.rules[rule].ID, RuleIndex: rule, Level: level(st),
		Message:      sarifMessage{Text: sarifText(cut(visible(text), longest, "…"))},
		Fingerprints: map[string]string{"touchstone/v1": name, "primaryLocationLineHash": name + ":1"},
		Locations:    []sarifLocation{s.location(at, pkg)},
	}
	s.results = append(s.results, r)
}

// suppress marks the last result as set aside by a waiver.
func (s *sarifRun) suppress(r *touchstone.Reason, st standing) {
	if st != waived {
		return
	}
	why := "waived"
	if w := r.Waiver; w != nil {
		why = "waived until " + w.Until.UTC().Format("2006-01-02") + " by " + w.ID + ", owner " + cmp.Or(w.Owner, "unknown")
	}
	last := &s.results[len(s.results)-1]
	last.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: visible(why)}}
}

func (s *sarifRun) location(at location, pkg *touchstone.PackageRef) sarifLocation {
	p := sarifPhysical{Artifact: sarifArtifact{URI: relativeURI(at.path), Base: insideArtifact}, Region: sarifRegion{max(1, at.line)}}
	switch {
	case at.dockerfile:
		p.Artifact.Base = ""
	case p.Artifact.URI == "" && s.o.Dockerfile != "":
		p.Artifact = sarifArtifact{URI: relativeURI(s.o.Dockerfile)}
	case p.Artifact.URI == "":
		p.Artifact = sarifArtifact{URI: cmp.Or(relativeURI(repository(s.c.Artifact.Label())), "artifact")}
	}
	l := sarifLocation{Physical: p}
	switch {
	case pkg != nil:
		l.Logical = []sarifLogical{{Name: visible(pkg.Name), Full: visible(pkg.PURL), Kind: "module"}}
	case at.layer >= 0 && at.layer < len(s.c.Layers):
		l.Logical = []sarifLogical{{Name: "layer " + strconv.Itoa(at.layer+1), Full: visible(string(s.c.Layers[at.layer].DiffID)), Kind: "resource"}}
	}
	return l
}

// sentence is what a result says of one thing.
func sentence(r *touchstone.Reason, st standing, thing string, o Options) string {
	text := r.Rule + " " + doing(st) + ": " + thing
	for _, a := range asides(st, r, o.day) {
		text += ". " + strings.ToUpper(a[:1]) + a[1:]
	}
	return text
}

func doing(st standing) string {
	switch st {
	case refusing:
		return "refused"
	case stalling:
		return "could not be asked"
	case warned:
		return "warned of"
	default:
		return "waived"
	}
}

func level(st standing) string {
	switch st {
	case refusing, stalling:
		return "error"
	case warned:
		return "warning"
	default:
		return "note"
	}
}

func scored(m *touchstone.Match) string {
	if !m.Scored {
		return "unscored"
	}
	return "CVSS " + score(m)
}
