package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	spdxjson "github.com/spdx/tools-golang/json"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

const debianRelease = "bookworm"

// debian is one Debian system in all forms.
type debian struct {
	tar, gzip, zstd string // the root file system as a tarball
	tree            string // and as a folder
}

// newDebian installs the smallest Debian that apt can live in. The mirror is the
// one that the machine itself uses.
func newDebian(t *testing.T) debian {
	t.Helper()
	need(t, "tar", "gzip", "zstd", "dpkg-query")
	var d debian
	d.tar = cached(t, "debian-"+debianRelease+".tar", func(to string) error {
		if os.Getuid() != 0 {
			return fmt.Errorf("mmdebstrap must be run by root")
		}
		return execute("mmdebstrap", "--quiet", "--variant=minbase", debianRelease, to)
	})
	d.tree = cached(t, "debian-"+debianRelease, func(to string) error {
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		return execute("tar", "-x", "--exclude=./dev/*", "-C", to, "-f", d.tar) // only root may make devices
	})
	d.gzip = cached(t, "debian-"+debianRelease+".tar.gz", func(to string) error {
		return execute("sh", "-c", `gzip -1 <"$0" >"$1"`, d.tar, to)
	})
	d.zstd = cached(t, "debian-"+debianRelease+".tar.zst", func(to string) error {
		return execute("zstd", "-q", d.tar, "-o", to)
	})
	return d
}

// execute runs a program, and puts what it said into the error.
func execute(program string, args ...string) error {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// installed is a package as both dpkg and Touchstone name it.
type installed struct{ Name, Version, Architecture, Source, SourceVersion string }

// dpkgQuery asks dpkg what is installed below a root.
func dpkgQuery(t *testing.T, root string) []installed {
	t.Helper()
	out := output(t, exec.Command("dpkg-query", "--admindir", filepath.Join(root, "var", "lib", "dpkg"), "--show",
		"--showformat", `${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n`))
	var list []installed
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 6 && f[0] == "installed" {
			list = append(list, installed{f[1], f[2], f[3], f[4], f[5]})
		}
	}
	return list
}

// fromDpkg returns the packages that dpkg's database proves, as dpkg writes them.
func fromDpkg(packages []touchstone.Package) []installed {
	var list []installed
	for _, p := range packages {
		if p.Path != "var/lib/dpkg/status" {
			continue
		}
		i := installed{Name: p.Name, Version: p.Version, Source: p.Source, SourceVersion: p.SourceVersion}
		if i.Source == "" {
			i.Source = i.Name
		}
		if i.SourceVersion == "" {
			i.SourceVersion = i.Version
		}
		_, arch, _ := strings.Cut(p.PURL, "arch=")
		i.Architecture, _, _ = strings.Cut(arch, "&")
		list = append(list, i)
	}
	return list
}

func inAnyOrder() cmp.Option {
	return cmpopts.SortSlices(func(a, b installed) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
}

// The packages of a Debian system are those that dpkg says, in every form that
// the system can come in.
func TestDebian(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	want := dpkgQuery(t, d.tree)
	if len(want) < 80 {
		t.Fatalf("dpkg-query lists %d packages, which is no Debian", len(want))
	}
	im := image(t, makeimage.Image{Layers: []makeimage.Layer{tarred(t, "ADD debian.tar.gz /", d.gzip)}})
	for _, form := range []struct {
		name, ref string
		kind      touchstone.Kind
	}{
		{"docker archive", "docker-archive:" + archive(t, im), touchstone.KindImage},
		{"layout", "oci:" + layoutOf(t, image(t, makeimage.Image{Layers: []makeimage.Layer{tarred(t, "ADD debian.tar.zst /", d.zstd)}})), touchstone.KindImage},
		{"tarball", "rootfs:" + d.tar, touchstone.KindFilesystem},
		{"tarball, gzip", d.gzip, touchstone.KindFilesystem},
		{"tarball, Zstandard", d.zstd, touchstone.KindFilesystem},
		{"folder", "dir:" + d.tree, touchstone.KindFilesystem},
	} {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			if form.name == "folder" {
				needRoot(t, "reading every file of a Debian system in place")
			}
			doc := newMachine(t, filepath.Join("testdata", "osv")).check(0, form.ref)
			if doc.Artifact.Kind != form.kind || doc.OS.ID != "debian" || doc.OS.Version != "12" {
				t.Errorf("it is taken for %s of %+v", doc.Artifact.Kind, doc.OS)
			}
			if diff := cmp.Diff(want, fromDpkg(doc.Packages), inAnyOrder()); diff != "" {
				t.Errorf("packages (- dpkg-query, + touchstone):\n%s", diff)
			}
			for _, p := range doc.Packages {
				if p.Ecosystem != "Debian:12" {
					t.Errorf("%s %s in %s: minbase holds nothing but Debian's own", p.Ecosystem, p.Name, p.Path)
				}
			}
			if len(doc.Gaps) > 0 {
				t.Errorf("gaps: %+v", doc.Gaps)
			}
		})
	}
}

// layoutOf writes an image as an OCI layout.
func layoutOf(t *testing.T, im v1.Image) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(im); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An application on a golden base: the lineage is known, and what the base's
// owner must mend is told apart from what the application's must.
func TestGoldenBase(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	under := tarred(t, "ADD debian.tar.gz /", d.gzip)
	application := folder(t, "COPY . /app", newExpress(t), "app")
	base := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{under}}))
	cart := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{under, application}}))

	m := newMachine(t, filepath.Join("testdata", "osv"))
	if doc := m.check(1, cart); doc.Lineage.Base != nil || doc.Matches[0].Origin != touchstone.OriginUnknown {
		t.Errorf("without a golden base the lineage is %+v and %s comes from %s", doc.Lineage, doc.Matches[0].ID, doc.Matches[0].Origin)
	}
	m.run(0, "golden", "add", base, "--as", "registry.example/base/debian:12", "--owner", "team-base")
	doc := m.check(1, cart)
	if b := doc.Lineage.Base; b == nil || b.Owner != "team-base" || b.Name != "registry.example/base/debian:12" || doc.Lineage.Layers != 1 {
		t.Fatalf("lineage: %+v", doc.Lineage)
	}
	type finding struct {
		ID, Package string
		Origin      touchstone.Origin
	}
	var got []finding
	for i := range doc.Matches {
		got = append(got, finding{doc.Matches[i].ID, doc.Matches[i].Package.Name, doc.Matches[i].Origin})
	}
	want := []finding{
		{"CVE-2011-3374", "apt", touchstone.OriginBase},
		{"CVE-2011-3374", "libapt-pkg6.0", touchstone.OriginBase},
		{"CVE-2022-24999", "express", touchstone.OriginApplication},
		{"CVE-2022-24999", "qs", touchstone.OriginApplication},
		{"CVE-2024-29041", "express", touchstone.OriginApplication},
	}
	byName := cmpopts.SortSlices(func(a, b finding) bool { return a.ID+a.Package < b.ID+b.Package })
	if diff := cmp.Diff(want, got, byName); diff != "" {
		t.Errorf("findings (- want, + got):\n%s", diff)
	}
	if diff := cmp.Diff(dpkgQuery(t, d.tree), fromDpkg(doc.Packages), inAnyOrder()); diff != "" {
		t.Errorf("packages below the application (- dpkg-query, + touchstone):\n%s", diff)
	}
}

// What other tools are given of a Debian image holds every package, and is read
// by the libraries of the two formats.
func TestBillsOfMaterials(t *testing.T) {
	t.Parallel()
	d := newDebian(t)
	dir := t.TempDir()
	cyclone, spdx := filepath.Join(dir, "cyclonedx.json"), filepath.Join(dir, "spdx.json")
	doc := newMachine(t, filepath.Join("testdata", "osv")).check(0, d.gzip, "-o", "cyclonedx="+cyclone, "-o", "spdx="+spdx)
	var want []string
	for _, p := range doc.Packages {
		want = append(want, p.PURL)
	}
	inOrder := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	for _, format := range []struct {
		name string
		read func(*testing.T, *os.File) []string
		file string
	}{{"CycloneDX", inCycloneDX, cyclone}, {"SPDX", inSPDX, spdx}} {
		f, err := os.Open(format.file)
		if err != nil {
			t.Fatal(err)
		}
		got := format.read(t, f)
		_ = f.Close()
		if diff := cmp.Diff(want, got, inOrder); diff != "" {
			t.Errorf("%s (- packages, + bill):\n%s", format.name, diff)
		}
	}
}

func inCycloneDX(t *testing.T, f *os.File) []string {
	t.Helper()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(f, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, c := range *bom.Components {
		if c.PackageURL != "" {
			purls = append(purls, c.PackageURL)
		}
	}
	return purls
}

func inSPDX(t *testing.T, f *os.File) []string {
	t.Helper()
	doc, err := spdxjson.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, p := range doc.Packages {
		for _, r := range p.PackageExternalReferences {
			if r.RefType == "purl" && p.PrimaryPackagePurpose == "" { // what has a purpose is the artifact itself
				purls = append(purls, r.Locator)
			}
		}
	}
	return purls
}
