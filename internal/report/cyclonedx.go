package report

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"touchstone.dev/touchstone"
)

// writeCycloneDX writes a bill of materials by CycloneDX 1.6 with the packages,
// where each was found, and the vulnerabilities. What could not be read makes
// the composition incomplete, which is CycloneDX's word for it.
func writeCycloneDX(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	refs := refer(c.Packages)
	root := "artifact"
	bom := cdx.NewBOM()
	bom.SpecVersion = cdx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = "urn:uuid:" + documentID("cyclonedx", c)
	bom.Metadata = &cdx.Metadata{
		Timestamp: instant(moment(c)), Component: cdxRoot(c, root),
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{cdxTool(c.Tool)}},
	}
	known := knownLicences()
	components := make([]cdx.Component, len(c.Packages))
	inside := make([]string, len(c.Packages))
	for i := range c.Packages {
		components[i] = cdxComponent(c, &c.Packages[i], refs.of[i], known)
		inside[i] = refs.of[i]
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: root, Dependencies: &inside}}
	aggregate := cdx.CompositionAggregateUnknown
	if len(c.Gaps) > 0 {
		aggregate = cdx.CompositionAggregateIncomplete
	}
	bom.Compositions = &[]cdx.Composition{{Aggregate: aggregate, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(root)}}}
	vulnerabilities := cdxVulnerabilities(c, refs, root)
	bom.Vulnerabilities = &vulnerabilities
	return encode(b, bom)
}

func cdxTool(tool string) cdx.Component {
	name, version, _ := strings.Cut(tool, " ")
	if name == "" {
		name = "touchstone"
	}
	return cdx.Component{Type: cdx.ComponentTypeApplication, Name: name, Version: version}
}

func cdxRoot(c *touchstone.Check, ref string) *cdx.Component {
	root := &cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeContainer, Name: c.Artifact.Label(), Version: string(c.Artifact.Digest),
		PackageURL: productPURL(&c.Artifact),
	}
	if c.Artifact.Kind != touchstone.KindImage {
		root.Type = cdx.ComponentTypeFile
	}
	var p properties
	p.add("platform", c.Artifact.Platform)
	p.add("os", strings.TrimSpace(c.OS.ID+" "+c.OS.Version))
	for i := range c.Layers {
		p.add("layer:"+strconv.Itoa(i)+":diffID", string(c.Layers[i].DiffID))
	}
	if c.Lineage.Base != nil {
		p.add("base", c.Lineage.Base.Name)
	}
	for _, d := range c.Decisions() {
		p.add("verdict:"+d.Place.Environment, string(d.Verdict))
	}
	for i := range c.Gaps {
		p.add("gap:"+string(c.Gaps[i].Kind), c.Gaps[i].Path+" "+c.Gaps[i].Reason)
	}
	root.Properties = p.list()
	return root
}

// properties are CycloneDX's name-value pairs, all under "touchstone:".
type properties []cdx.Property

func (p *properties) add(name, value string) {
	if value != "" {
		*p = append(*p, cdx.Property{Name: "touchstone:" + name, Value: value})
	}
}

func (p *properties) list() *[]cdx.Property {
	if len(*p) == 0 {
		return nil
	}
	return (*[]cdx.Property)(p)
}

func cdxComponent(c *touchstone.Check, p *touchstone.Package, ref string, known licences) cdx.Component {
	out := cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: p.PURL,
		Licenses: cdxLicences(p.Licences, known),
	}
	var props properties
	props.add("ecosystem", p.Ecosystem)
	props.add("source", p.Source)
	props.add("sourceVersion", p.SourceVersion)
	if p.Layer >= 0 && p.Layer < len(c.Layers) {
		props.add("layer", strconv.Itoa(p.Layer))
		props.add("layer:diffID", string(c.Layers[p.Layer].DiffID))
	}
	out.Properties = props.list()
	if p.Path != "" {
		out.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: p.Path}}}
	}
	return out
}

// cdxLicences writes one expression, or a list of identifiers and names: the
// schema takes no mixture.
func cdxLicences(of []string, known licences) *cdx.Licenses {
	if len(of) == 0 {
		return nil
	}
	if len(of) == 1 {
		if _, single := known.id(of[0]); !single {
			if e, ok := known.expression(of[0]); ok {
				return &cdx.Licenses{{Expression: e}}
			}
		}
	}
	var out cdx.Licenses
	for _, s := range of {
		if id, ok := known.id(s); ok {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{ID: id}})
		} else if s != "" {
			out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: s}})
		}
	}
	return &out
}

// cdxVulnerabilities merges the matches of one vulnerability that are judged
// alike, because CycloneDX has one analysis for all that it affects.
func cdxVulnerabilities(c *touchstone.Check, refs *references, root string) []cdx.Vulnerability {
	type key struct {
		id, why string
		applies bool
	}
	at := map[key]int{}
	out := []cdx.Vulnerability{}
	for i := range c.Matches {
		m := &c.Matches[i]
		k := key{m.ID, m.Why, m.Applies}
		j, there := at[k]
		if !there {
			j = len(out)
			at[k] = j
			out = append(out, cdxVulnerability(m))
		}
		ref, known := refs.find[[2]string{m.Package.PURL, m.Package.Path}]
		if !known {
			ref = root
		}
		affects := out[j].Affects
		if !slices.ContainsFunc(*affects, func(a cdx.Affects) bool { return a.Ref == ref }) {
			*affects = append(*affects, cdx.Affects{Ref: ref})
		}
	}
	return out
}

func cdxVulnerability(m *touchstone.Match) cdx.Vulnerability {
	v := cdx.Vulnerability{
		BOMRef: "vulnerability-" + hashed(m.ID, m.Why, strconv.FormatBool(m.Applies)), ID: m.ID,
		Source:      &cdx.Source{Name: authority(m.ID), URL: advisoryURL(m.ID)},
		Description: m.Summary, Published: instant(m.Published), Updated: instant(m.Modified),
		Affects: &[]cdx.Affects{},
	}
	rating := cdx.VulnerabilityRating{Severity: cdxSeverity(m.Severity)}
	if m.Scored {
		score := m.Score
		rating.Score, rating.Method, rating.Vector = &score, cdxMethod(m.Vector), m.Vector
		rating.Source = &cdx.Source{Name: m.ScoreSource}
	}
	v.Ratings = &[]cdx.VulnerabilityRating{rating}
	var references []cdx.VulnerabilityReference
	for _, a := range m.Aliases {
		references = append(references, cdx.VulnerabilityReference{ID: a, Source: &cdx.Source{Name: authority(a), URL: advisoryURL(a)}})
	}
	if len(references) > 0 {
		v.References = &references
	}
	switch {
	case !m.Applies:
		v.Analysis = &cdx.VulnerabilityAnalysis{State: cdx.IASNotAffected, Justification: cdxJustification(m), Detail: m.Why}
	case m.Fixable():
		v.Recommendation = "Upgrade " + m.Package.Name + " to " + m.FixedVersions[0]
	}
	var p properties
	if m.KnownExploited {
		p.add("knownExploited", "true")
	}
	if m.EPSS > 0 {
		p.add("epss", strconv.FormatFloat(m.EPSS, 'f', -1, 64))
	}
	p.add("origin", string(m.Origin))
	v.Properties = p.list()
	return v
}

func cdxSeverity(s string) cdx.Severity {
	switch s := cdx.Severity(s); s {
	case cdx.SeverityNone, cdx.SeverityLow, cdx.SeverityMedium, cdx.SeverityHigh, cdx.SeverityCritical:
		return s
	default:
		return cdx.SeverityUnknown
	}
}

// cdxMethod tells the version of CVSS from a vector; only version 2 has no
// prefix.
func cdxMethod(vector string) cdx.ScoringMethod {
	switch version, _, _ := strings.Cut(vector, "/"); {
	case version == "CVSS:4.0":
		return cdx.ScoringMethodCVSSv4
	case version == "CVSS:3.1":
		return cdx.ScoringMethodCVSSv31
	case version == "CVSS:3.0":
		return cdx.ScoringMethodCVSSv3
	case strings.HasPrefix(version, "AV:"):
		return cdx.ScoringMethodCVSSv2
	default:
		return cdx.ScoringMethodOther
	}
}

func cdxJustification(m *touchstone.Match) cdx.ImpactAnalysisJustification {
	switch justification(m) {
	case "component_not_present", "vulnerable_code_not_present":
		return cdx.IAJCodeNotPresent
	case "vulnerable_code_not_in_execute_path", "vulnerable_code_cannot_be_controlled_by_adversary":
		return cdx.IAJCodeNotReachable
	case "inline_mitigations_already_exist":
		return cdx.IAJProtectedByMitigatingControl
	default:
		return ""
	}
}
