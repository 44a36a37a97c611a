package report

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// The parts of OpenVEX 0.2.0 that are written. They are small enough to be
// declared here; the project's own library links protobuf and in-toto.
type (
	vexDocument struct {
		Context    string         `json:"@context"`
		ID         string         `json:"@id"`
		Author     string         `json:"author"`
		Timestamp  string         `json:"timestamp"`
		Version    int            `json:"version"`
		Tooling    string         `json:"tooling,omitempty"`
		Statements []vexStatement `json:"statements"`
	}
	vexStatement struct {
		Vulnerability vexVulnerability `json:"vulnerability"`
		Products      []vexProduct     `json:"products"`
		Status        string           `json:"status"`
		Justification string           `json:"justification,omitempty"`
		Impact        string           `json:"impact_statement,omitempty"`
		Action        string           `json:"action_statement,omitempty"`
	}
	vexVulnerability struct {
		ID          string   `json:"@id,omitempty"`
		Name        string   `json:"name"`
		Description string   `json:"description,omitempty"`
		Aliases     []string `json:"aliases,omitempty"`
	}
	vexProduct struct {
		ID            string            `json:"@id"`
		Identifiers   map[string]string `json:"identifiers,omitempty"`
		Hashes        map[string]string `json:"hashes,omitempty"`
		Subcomponents []vexComponent    `json:"subcomponents,omitempty"`
	}
	vexComponent struct {
		ID string `json:"@id"`
	}
)

// writeOpenVEX says of each vulnerability whether the artifact is affected: not
// where there is proof, which is quoted; else yes, with what to do about it.
func writeOpenVEX(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	doc := vexDocument{
		Context: "https://openvex.dev/ns/v0.2.0", ID: "https://touchstone.dev/vex/" + documentID("openvex", c),
		Author: cmp.Or(o.Author, c.Tool, "touchstone"), Timestamp: cmp.Or(instant(moment(c)), instant(o.Now)), Version: 1,
		Tooling: c.Tool, Statements: []vexStatement{},
	}
	product := vexProduct{ID: productPURL(&c.Artifact)}
	product.Identifiers = map[string]string{"purl": product.ID}
	if c.Artifact.Digest.Valid() {
		product.Hashes = map[string]string{"sha-256": strings.TrimPrefix(string(c.Artifact.Digest), "sha256:")}
	}
	type key struct{ id, why, action string }
	at := map[key]int{}
	for i := range c.Matches {
		m := &c.Matches[i]
		s := vexStatement{Vulnerability: vexVulnerability{ID: advisoryURL(m.ID), Name: m.ID, Description: m.Summary, Aliases: m.Aliases}}
		if m.Applies {
			s.Status, s.Action = "affected", action(m)
		} else {
			s.Status, s.Justification = "not_affected", justification(m)
			s.Impact = cmp.Or(m.Why, "there is proof that it cannot be used here")
		}
		k := key{m.ID, s.Impact, s.Action}
		j, there := at[k]
		if !there {
			j = len(doc.Statements)
			at[k] = j
			s.Products = []vexProduct{product}
			doc.Statements = append(doc.Statements, s)
		}
		p := &doc.Statements[j].Products[0]
		if part := (vexComponent{cmp.Or(m.Package.PURL, m.Package.Name)}); !slices.Contains(p.Subcomponents, part) {
			p.Subcomponents = append(p.Subcomponents, part)
		}
	}
	return encode(b, doc)
}

func action(m *touchstone.Match) string {
	switch {
	case m.Fixable():
		return "Upgrade " + m.Package.Name + " to " + m.FixedVersions[0] + ", rebuild and redeploy."
	case m.WontFix:
		return "The distribution will not mend it: replace " + m.Package.Name + ", or set the rule aside for a time with an owner."
	default:
		return "No fix is known: remove " + m.Package.Name + ", or set the rule aside for a time with an owner."
	}
}

// justification is OpenVEX's label for why a match does not apply: the one that
// its proof quotes, else for a Go program, where the proof is that the functions
// are not in it, that the code is not present; else none, so that the impact
// statement stands alone.
func justification(m *touchstone.Match) string {
	for _, label := range []string{
		"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
	} {
		if strings.Contains(m.Why, label) {
			return label
		}
	}
	if m.Package.Ecosystem == "Go" {
		return "vulnerable_code_not_present"
	}
	return ""
}
