package report

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/package-url/packageurl-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"

	"touchstone.dev/touchstone"
)

// samples are checks whose documents are held against the standards.
func samples() map[string]*touchstone.Check {
	hostileAll := filled(hostile)
	return map[string]*touchstone.Check{
		"refused": refused(), "allowed": allowed(), "road": road(), "unread": unread(), "crowded": crowded(50, 100),
		"all hostile": hostileAll[0], "some hostile": hostileAll[1], "empty": {Decision: &touchstone.Decision{Verdict: touchstone.Refused}},
	}
}

func written(t *testing.T, format string, c *touchstone.Check) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, c, Options{Now: now, Dockerfile: "build/Dockerfile"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// schema compiles a JSON schema of which all parts lie in files.
func schema(t *testing.T, main string, parts map[string]string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	for url, file := range parts {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := compiler.Compile(main)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, document []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v", err)
	}
}

func TestSARIFSchema(t *testing.T) {
	const url = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	s := schema(t, url, map[string]string{url: filepath.Join("testdata", "schema", "sarif-schema-2.1.0.json")})
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) { validate(t, s, written(t, "sarif", c)) })
	}
}

func TestCycloneDXSchema(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	if _, missing := os.Stat(filepath.Join(dir, "bom-1.6.schema.json")); err != nil || missing != nil {
		t.Skip("the schema that comes with cyclonedx-go is not there")
	}
	const base = "http://cyclonedx.org/schema/"
	s := schema(t, base+"bom-1.6.schema.json", map[string]string{
		base + "bom-1.6.schema.json":  filepath.Join(dir, "bom-1.6.schema.json"),
		base + "spdx.schema.json":     filepath.Join(dir, "spdx.schema.json"),
		base + "jsf-0.82.schema.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	})
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) { validate(t, s, written(t, "cyclonedx", c)) })
	}
}

func TestSPDXIsReadBack(t *testing.T) {
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) {
			doc, err := spdxjson.Read(bytes.NewReader(written(t, "spdx", c)))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(doc.Packages), len(c.Packages)+1; got != want {
				t.Errorf("%d packages, want %d", got, want)
			}
			ids := map[string]bool{"DOCUMENT": true}
			for _, p := range doc.Packages {
				if ids[string(p.PackageSPDXIdentifier)] {
					t.Errorf("two elements are called %s", p.PackageSPDXIdentifier)
				}
				ids[string(p.PackageSPDXIdentifier)] = true
				if p.PackageName == "" || p.PackageDownloadLocation == "" {
					t.Errorf("%s lacks a compulsory field", p.PackageSPDXIdentifier)
				}
			}
			for _, r := range doc.Relationships {
				if !ids[string(r.RefA.ElementRefID)] || !ids[string(r.RefB.ElementRefID)] {
					t.Errorf("a relationship names what is not there: %v", r)
				}
			}
		})
	}
}

// TestOpenVEXRules holds statements against what the specification demands of
// each status (OpenVEX 0.2.0, "Statement").
func TestOpenVEXRules(t *testing.T) {
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) {
			var doc vexDocument
			if err := json.Unmarshal(written(t, "openvex", c), &doc); err != nil {
				t.Fatal(err)
			}
			if doc.Context == "" || doc.ID == "" || doc.Author == "" || doc.Timestamp == "" || doc.Version < 1 {
				t.Error("a compulsory field is missing")
			}
			for _, s := range doc.Statements {
				if len(s.Products) != 1 || len(s.Products[0].Subcomponents) == 0 {
					t.Errorf("%s is about nothing", s.Vulnerability.Name)
				}
				if _, err := packageurl.FromString(s.Products[0].ID); err != nil {
					t.Errorf("%s: %v", s.Products[0].ID, err)
				}
				switch {
				case s.Status == "affected" && s.Action == "":
					t.Errorf("%s: affected, and no action", s.Vulnerability.Name)
				case s.Status == "not_affected" && s.Justification == "" && s.Impact == "":
					t.Errorf("%s: not affected, and no reason", s.Vulnerability.Name)
				}
			}
		})
	}
}

func TestProductPURL(t *testing.T) {
	for _, c := range []struct {
		artifact touchstone.Artifact
		want     string
	}{
		{
			touchstone.Artifact{Name: "registry.example:5000/shop/Cart:1.4", Kind: touchstone.KindImage, Digest: "sha256:ab", Platform: "linux/arm64"},
			"pkg:oci/cart@sha256:ab?arch=arm64&repository_url=registry.example:5000%2Fshop%2Fcart&tag=1.4",
		},
		{touchstone.Artifact{Source: "dir/cart.tar", Kind: touchstone.KindImage, Digest: "sha256:ab"}, "pkg:oci/cart.tar@sha256:ab"},
		{touchstone.Artifact{Source: "root.tar", Kind: touchstone.KindFilesystem, Digest: "sha256:ab"}, "pkg:generic/root.tar@sha256:ab"},
		{touchstone.Artifact{Name: "a@sha256:ab", Kind: touchstone.KindImage, Digest: "sha256:ab"}, "pkg:oci/a@sha256:ab?repository_url=a"},
		{touchstone.Artifact{Source: "/", Kind: touchstone.KindFilesystem}, "pkg:generic/artifact"},
	} {
		if got := productPURL(&c.artifact); got != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.artifact, got, c.want)
		}
	}
}

func TestLicences(t *testing.T) {
	known := knownLicences()
	for in, want := range map[string]string{
		"mit": "MIT", "MIT AND (gpl-2.0-only OR BSD-3-Clause)": "MIT AND (GPL-2.0-only OR BSD-3-Clause)", "GPL-2.0+": "GPL-2.0+",
		"GPL-2.0-only with classpath-exception-2.0": "GPL-2.0-only WITH Classpath-exception-2.0",
		"": "", "MIT AND": "", "Classpath-exception-2.0": "", "MIT Apache-2.0": "", "(MIT": "", "MIT)": "", "custom": "",
		strings.Repeat("(", 1000) + "MIT" + strings.Repeat(")", 1000): "",
	} {
		got, ok := known.expression(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("expression(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}

// TestFingerprintsHold checks that a result keeps its fingerprint when the
// artifact's version, tag and digest change, and that no two share one.
func TestFingerprintsHold(t *testing.T) {
	prints := func(c *touchstone.Check) map[string]string {
		var log sarifLog
		if err := json.Unmarshal(written(t, "sarif", c), &log); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range log.Runs[0].Results {
			name := r.Fingerprints["touchstone/v1"]
			if other, there := out[name]; there {
				t.Errorf("%q and %q have one fingerprint", other, r.Message.Text)
			}
			out[name] = r.RuleID
		}
		return out
	}
	before, later := refused(), refused()
	later.Artifact.Name, later.Artifact.Digest = "registry.example/shop/cart:1.5", digest("0")
	for i := range later.Matches {
		later.Matches[i].Package.Version += "-r1"
	}
	a, b := prints(before), prints(later)
	for name, rule := range a {
		if b[name] != rule {
			t.Errorf("the fingerprint of a result of %s changed", rule)
		}
	}
}
