package gate_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/advisory/vex"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/rules"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const table = `version: 1
environments: [dev, prod]
rules:
  cvss: {dev: any, prod: at most 3}
  secrets: {dev: allow, prod: refuse}
  runs-as-root: {dev: allow, prod: refuse}
vex: {authors: [security@shop.example]}
`

const hole = `{"schema_version":"1.6.0","id":"DEBIAN-CVE-2026-1","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z",
"upstream":["CVE-2026-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.2-1"}]}]}]}`

const statement = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://shop.example/vex/1","author":"security@shop.example",
"timestamp":"2026-11-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-2026-1"},
"products":[{"@id":"pkg:deb/debian/openssl"}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"}]}`

// newGate is a gate over real rooms, with one advisory.
func newGate(t testing.TB, change func(*gate.Config)) *gate.Gate {
	t.Helper()
	dir := t.TempDir()
	records := filepath.Join(dir, "records")
	check(t, os.Mkdir(records, 0o700))
	check(t, os.WriteFile(filepath.Join(records, "hole.json"), []byte(hole), 0o600))
	folder := advisory.OpenFolder(filepath.Join(dir, "advisories"))
	_, err := folder.Import(t.Context(), []string{records}, advisory.ImportOptions{Now: noon, AsOf: noon})
	check(t, err)
	store, err := blob.Open(blob.Config{Dir: filepath.Join(dir, "evidence")})
	check(t, err)
	inspector, err := inspect.New(inspect.Config{Store: store, Key: []byte("key")})
	check(t, err)
	t.Cleanup(func() { check(t, inspector.Close()) })
	r, _, err := rules.Load("touchstone.yaml", []byte(table), noon)
	check(t, err)
	c := gate.Config{
		Inspector: inspector, Advisories: folder, Golden: golden.Open(filepath.Join(dir, "golden.json")),
		Rules: r, Tool: "touchstone test", Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&c)
	}
	return gate.New(c)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func file(path, content string) makeimage.File {
	return makeimage.File{Path: path, Data: []byte(content)}
}

func layerOf(t testing.TB, files ...makeimage.File) makeimage.Layer {
	t.Helper()
	l, err := makeimage.Files("COPY . /", files...)
	check(t, err)
	return l
}

// debian is a layer with one package of the version.
func debian(t testing.TB, version string) makeimage.Layer {
	return layerOf(t, file("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
		file("var/lib/dpkg/status", "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: "+version+"\n\n"))
}

func build(t testing.TB, platform string, layers ...makeimage.Layer) v1.Image {
	t.Helper()
	im, err := makeimage.Build(makeimage.Image{Layers: layers, Created: noon, Platform: platform, Config: v1.Config{User: "1000"}})
	check(t, err)
	return im
}

func archive(t *testing.T, im v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	check(t, makeimage.WriteArchive(path, "registry.example/x:1", im))
	return path
}

func ask(ref, environment string, g *gate.Gate) gate.Ask {
	place := g.Rules.PlaceIn(environment)
	return gate.Ask{Reference: ref, Place: &place}
}

func TestCheckJudgesEveryPlatformAndTheWorstHolds(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/shop/cart:1")
	check(t, err)
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: build(t, "linux/amd64", debian(t, "3.0.2-1")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: build(t, "linux/arm64", debian(t, "3.0.1-1")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
	check(t, remote.WriteIndex(ref, index))
	g := newGate(t, nil)

	doc, err := g.Check(t.Context(), ask(ref.Name(), "prod", g))
	check(t, err)
	got := map[string]touchstone.Verdict{}
	for _, p := range doc.Platforms {
		got[p.Platform] = p.Verdict
	}
	want := map[string]touchstone.Verdict{"linux/amd64": touchstone.Allowed, "linux/arm64": touchstone.Refused}
	if diff := cmp.Diff(want, got); diff != "" || doc.Verdict() != touchstone.Refused || doc.Artifact.Platform != "linux/arm64" {
		t.Errorf("verdict %s of %s; platforms (-want +got)\n%s", doc.Verdict(), doc.Artifact.Platform, diff)
	}

	one := ask(ref.Name(), "prod", g)
	one.Open = reference.Options{Platform: "linux/amd64"}
	doc, err = g.Check(t.Context(), one)
	check(t, err)
	if doc.Verdict() != touchstone.Allowed || len(doc.Platforms) != 0 {
		t.Errorf("amd64 alone: %s, platforms %v", doc.Verdict(), doc.Platforms)
	}
}

func TestCheckSplitsBaseAndApplication(t *testing.T) {
	g := newGate(t, nil)
	base, err := g.Inspect(t.Context(), archive(t, build(t, "", debian(t, "3.0.1-1"))), reference.Options{As: "base:12"})
	check(t, err)
	approved, err := gate.Base(base[0], "team-base", noon, time.Time{})
	check(t, err)
	check(t, g.Golden.Add(approved))
	app := layerOf(t, file("var/lib/dpkg/status", "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\n\n"+
		"Package: openssl-tools\nSource: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\n\n"))
	doc, err := g.Check(t.Context(), ask(archive(t, build(t, "", debian(t, "3.0.1-1"), app)), "prod", g))
	check(t, err)
	got := map[string]touchstone.Origin{}
	for _, m := range doc.Matches {
		got[m.Package.Name] = m.Origin
	}
	want := map[string]touchstone.Origin{"openssl": touchstone.OriginBase, "openssl-tools": touchstone.OriginApplication}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCheckSaysWhatTheNextEnvironmentsWould(t *testing.T) {
	g := newGate(t, nil)
	doc, err := g.Check(t.Context(), ask(archive(t, build(t, "", debian(t, "3.0.1-1"))), "dev", g))
	check(t, err)
	want := []touchstone.NextVerdict{{Environment: "prod", Verdict: touchstone.Refused, Rules: []string{"cvss"}}}
	if diff := cmp.Diff(want, doc.Next); doc.Verdict() != touchstone.Allowed || diff != "" {
		t.Errorf("verdict %s; next (-want +got)\n%s", doc.Verdict(), diff)
	}
}

func TestATrustedStatementSparesAHole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vex.json")
	check(t, os.WriteFile(path, []byte(statement), 0o600))
	for author, want := range map[string]touchstone.Verdict{"security@shop.example": touchstone.Allowed, "somebody@else.example": touchstone.Refused} {
		t.Run(author, func(t *testing.T) {
			documents, _, err := vex.Load([]string{path}, []string{author})
			check(t, err)
			g := newGate(t, func(c *gate.Config) {
				c.VEX = func(a touchstone.Artifact) advisory.Statements { return documents.About(a) }
			})
			doc, err := g.Check(t.Context(), ask(archive(t, build(t, "", debian(t, "3.0.1-1"))), "prod", g))
			check(t, err)
			if doc.Verdict() != want || len(doc.Matches) != 1 {
				t.Errorf("verdict %s with %d matches, want %s with the match still listed", doc.Verdict(), len(doc.Matches), want)
			}
		})
	}
}

func TestFaultsDecideAndWrongUsageDoesNot(t *testing.T) {
	g := newGate(t, nil)
	doc, err := g.Check(t.Context(), ask("127.0.0.1:1/x/y:1", "prod", g))
	check(t, err)
	if doc.Verdict() != touchstone.Undecided {
		t.Errorf("a registry that is not there: %s, want undecided", doc.Verdict())
	}
	if _, err := g.Check(t.Context(), ask(filepath.Join(t.TempDir(), "absent.tar"), "prod", g)); err == nil {
		t.Error("a file that is not there was judged")
	}
}

func TestBaselineWaivesWhatFailsTodayAndNothingMore(t *testing.T) {
	g := newGate(t, nil)
	im := build(t, "", debian(t, "3.0.1-1"), layerOf(t, file("root/.netrc", "machine registry.example login deploy password hunter2hunter2\n")))
	named := ask(archive(t, im), "prod", g)
	named.Open = reference.Options{As: "registry.example/shop/cart:1.4"}
	doc, err := g.Check(t.Context(), named)
	check(t, err)
	terms := gate.Terms{Environment: "prod", Owner: "team-shop", Reason: "there before", Until: noon.AddDate(0, 0, 20)}
	waivers, left := gate.Baseline(g.Rules, doc, terms)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	want := []touchstone.Waiver{
		{Rule: "cvss", Artifact: "registry.example/shop/cart", Advisory: "CVE-2026-1", Package: "openssl", ScoreAbove: 9.8},
		{Rule: "secrets", Artifact: "registry.example/shop/cart", Package: doc.Secrets[0].Path + " (" + doc.Secrets[0].Kind + ")"},
	}
	ignore := cmpopts.IgnoreFields(touchstone.Waiver{}, "ID", "Owner", "Reason", "Until", "Environments")
	byRule := cmpopts.SortSlices(func(a, b touchstone.Waiver) bool { return a.Rule < b.Rule })
	if diff := cmp.Diff(want, waivers, ignore, byRule); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	waived := newGate(t, func(c *gate.Config) { c.Waivers = waivers })
	doc, err = waived.Check(t.Context(), named)
	check(t, err)
	if doc.Verdict() != touchstone.Allowed {
		t.Errorf("with its own baseline it is %s: %v", doc.Verdict(), doc.Decision.Reasons[0])
	}
}

func TestBaselineNeverWaivesWhatIsNever(t *testing.T) {
	doc := &touchstone.Check{Artifact: touchstone.Artifact{Name: "x"}, Decision: &touchstone.Decision{Reasons: []touchstone.Reason{
		{Rule: touchstone.RuleIntegrity, Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse},
		{Rule: "known-exploited", Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse, Failing: []string{"CVE-2026-1"}},
	}}}
	r := &touchstone.Rules{Waiving: touchstone.WaiverPolicy{Never: []string{"known-exploited"}}}
	if waivers, left := gate.Baseline(r, doc, gate.Terms{Environment: "prod"}); len(waivers) != 0 || len(left) != 2 {
		t.Errorf("%d waivers, %d left; want none and both", len(waivers), len(left))
	}
}

func TestDiffTellsFilesPackagesAndHoles(t *testing.T) {
	g := newGate(t, nil)
	inspected := func(version, script string) gate.Inspected {
		all, err := g.Inspect(t.Context(), archive(t, build(t, "", debian(t, version),
			layerOf(t, makeimage.File{Path: "usr/bin/start", Mode: 0o755, Data: []byte("#!/bin/sh\n" + script)}))), reference.Options{})
		check(t, err)
		return all[0]
	}
	d, err := g.Diff(t.Context(), inspected("3.0.1-1", "one"), inspected("3.0.2-1", "two"))
	check(t, err)
	if len(d.Packages) != 1 || d.Packages[0].Change != touchstone.Upgraded {
		t.Errorf("packages %v, want one upgraded", d.Packages)
	}
	if len(d.Files.Executables) != 1 || d.Files.Executables[0].Path != "usr/bin/start" {
		t.Errorf("executables %v, want usr/bin/start", d.Files.Executables)
	}
	if d.Matches == nil || len(d.Matches.Gone) != 1 || len(d.Matches.New) != 0 {
		t.Errorf("matches %v, want one gone", d.Matches)
	}
}
