package report

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"touchstone.dev/touchstone"
)

// spdxEpoch stands for a moment that nobody knows: the field is compulsory.
const spdxEpoch = "1970-01-01T00:00:00Z"

// writeSPDX writes a bill of materials by SPDX 2.3: the artifact and the
// packages that it contains. SPDX 2 has no vulnerabilities.
func writeSPDX(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	s := &spdxDocument{known: knownLicences(), others: map[string]bool{}}
	name := cmp.Or(visible(c.Artifact.Label()), "artifact")
	s.doc = &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: name, DocumentNamespace: "https://touchstone.dev/spdx/" + documentID("spdx", c),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: strings.ReplaceAll(cmp.Or(c.Tool, "touchstone"), " ", "-")}},
			Created:  cmp.Or(instant(moment(c)), instant(o.Now), spdxEpoch),
		},
	}
	if len(c.Gaps) > 0 {
		s.doc.DocumentComment = "Incomplete: " + counted(len(c.Gaps), "part") + " of the artifact could not be read."
	}
	root := common.ElementID("artifact")
	s.doc.Packages = append(s.doc.Packages, spdxRoot(c, name, root))
	s.relate("DOCUMENT", "DESCRIBES", root)
	refs := refer(c.Packages)
	for i := range c.Packages {
		id := common.ElementID("package-" + refs.of[i])
		s.doc.Packages = append(s.doc.Packages, s.pkg(&c.Packages[i], id))
		s.relate(root, "CONTAINS", id)
	}
	return encode(b, s.doc)
}

type spdxDocument struct {
	doc    *v2_3.Document
	known  licences
	others map[string]bool // licences off the list that the document already holds
}

func (s *spdxDocument) relate(a common.ElementID, how string, b common.ElementID) {
	s.doc.Relationships = append(s.doc.Relationships, &v2_3.Relationship{
		RefA: common.DocElementID{ElementRefID: a}, RefB: common.DocElementID{ElementRefID: b}, Relationship: how,
	})
}

func spdxRoot(c *touchstone.Check, name string, id common.ElementID) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: name, PackageSPDXIdentifier: id, PackageVersion: string(c.Artifact.Digest), PackageDownloadLocation: "NOASSERTION",
		PackageLicenseConcluded: "NOASSERTION", PackageLicenseDeclared: "NOASSERTION", PackageCopyrightText: "NOASSERTION",
		PrimaryPackagePurpose:     "CONTAINER",
		PackageExternalReferences: []*v2_3.PackageExternalReference{spdxPURL(productPURL(&c.Artifact))},
	}
	if c.Artifact.Kind != touchstone.KindImage {
		p.PrimaryPackagePurpose = "ARCHIVE"
	}
	if c.Artifact.Digest.Valid() {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(string(c.Artifact.Digest), "sha256:")}}
	}
	return p
}

func spdxPURL(purl string) *v2_3.PackageExternalReference {
	return &v2_3.PackageExternalReference{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: visible(purl)}
}

func (s *spdxDocument) pkg(p *touchstone.Package, id common.ElementID) *v2_3.Package {
	out := &v2_3.Package{
		PackageName: cmp.Or(visible(p.Name), "unnamed"), PackageSPDXIdentifier: id, PackageVersion: visible(p.Version),
		PackageDownloadLocation: "NOASSERTION", PackageLicenseConcluded: "NOASSERTION",
		PackageLicenseDeclared: s.licence(p.Licences), PackageCopyrightText: "NOASSERTION",
	}
	if p.Path != "" {
		out.PackageSourceInfo = "found in " + visible(p.Path)
	}
	if p.PURL != "" {
		out.PackageExternalReferences = []*v2_3.PackageExternalReference{spdxPURL(p.PURL)}
	}
	return out
}

// licence joins the licences of a package to one expression. One that is not on
// SPDX's list is quoted in the document and referred to (SPDX 2.3, clause 10).
func (s *spdxDocument) licence(of []string) string {
	var parts []string
	for _, text := range of {
		if strings.TrimSpace(text) == "" {
			continue
		}
		e, ok := s.known.expression(text)
		if !ok {
			e = "LicenseRef-" + hashed(text)
			if !s.others[e] {
				s.others[e] = true
				s.doc.OtherLicenses = append(s.doc.OtherLicenses, &v2_3.OtherLicense{
					LicenseIdentifier: e, ExtractedText: visible(text), LicenseName: cut(visible(text), 100, "…"),
				})
			}
		}
		if len(of) > 1 && strings.Contains(e, " ") {
			e = "(" + e + ")"
		}
		parts = append(parts, e)
	}
	if len(parts) == 0 {
		return "NOASSERTION"
	}
	return strings.Join(parts, " AND ")
}
