package pin

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func TestBuiltPackage(t *testing.T) {
	b := built()
	tests := []struct {
		query Query
		want  string // the version, or the error
	}{
		{Query{"apt", "curl", true}, "7.88.1-10+deb12u8"},
		{Query{"apt", "libc6:i386", true}, "2.36-9+deb12u7"},
		{Query{"apt", "curl", false}, "error: its stage does not become the image, so the image does not tell its version; build with --target and pin from that"},
		{Query{"apt", "bash", true}, "error: bash is not in the image"},
		{Query{"apk", "bash", true}, "5.2.26-r0"},
		{Query{"yum", "openssl", true}, "1:3.0.7-27.el9"},
		{Query{"zypper", "httpd", true}, "2.4.57-8.el9"},
		{Query{"pip", "Ruamel_YAML", false}, "0.18.6"},
		{Query{"uv", "setuptools", true}, "error: setuptools is in the image in several versions: 65.5.1, 70.0.0"},
		{Query{"npm", "typescript", true}, "5.4.5"},
		{Query{"pnpm", "@angular/cli", true}, "17.3.8"},
		{Query{"gem", "rails", true}, "7.1.3"},
		{Query{"go", "golang.org/x/tools/cmd/goimports", false}, "v0.22.0"},
		{Query{"go", "golang.org/x/tools/cmd/stringer", true}, "error: no binary of golang.org/x/tools/cmd/stringer is in the image"},
		{Query{"go", "github.com/mikefarah/yq/v4", true}, "v4.44.1"},
		{Query{"cargo", "ripgrep", true}, "14.1.0"},
		{Query{"composer", "laravel/installer", true}, "5.8.1"},
		{Query{"conda", "numpy", true}, "error: an image does not tell what conda took"},
	}
	for _, tt := range tests {
		got, err := b.Package(tt.query)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.query, got, tt.want)
		}
	}
	if _, err := FromEvidence(&touchstone.Evidence{}, nil).Digest("debian:12", ""); err == nil {
		t.Error("a digest without a registry")
	}
	devel := FromEvidence(&touchstone.Evidence{Packages: []touchstone.Package{pkg("golang", "a.example/x", "(devel)", "bin/x")}}, nil)
	if v, err := devel.Package(Query{Tool: "go", Name: "a.example/x"}); err == nil {
		t.Errorf("version %q of a build without one", v)
	}
}

func TestOptions(t *testing.T) {
	src := []byte("ARG BASE\nFROM ${BASE} AS build\nRUN apt-get install -y curl\nFROM ctx AS last\nRUN apt-get install -y git\n")
	f, err := Check("dir/Containerfile", src, Options{BuildArgs: map[string]string{"BASE": "debian:12"}, Contexts: []string{"ctx"}, Target: "BUILD"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range f.Findings() {
		got = append(got, fmt.Sprint(x.Where, " ", x.What, " ", x.Final))
	}
	want := []string{"Containerfile:2 debian:12 true", "Containerfile:3 curl true", "Containerfile:5 git false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	out, fixed, left := f.Fix(built())
	if len(fixed) != 1 || len(left) != 2 {
		t.Errorf("%d fixed and %d left, want 1 and 2:\n%s", len(fixed), len(left), out)
	}
}

// What a stranger's image calls a version is not written into a command.
func TestFixRefusesStrangeVersions(t *testing.T) {
	for _, version := range []string{"", "1; rm -rf /", "$(id)", "1\nRUN x", "-rf", "`id`", "1 2", "1'", `1"`, "1&x", "1|x", "1>x", "é"} {
		e := &touchstone.Evidence{Packages: []touchstone.Package{pkg("deb", "curl", version, "x")}}
		f, err := Check("Dockerfile", []byte("FROM scratch\nRUN apt-get install curl\n"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if out, fixed, _ := f.Fix(FromEvidence(e, nil)); len(fixed) > 0 {
			t.Errorf("version %q was written: %s", version, out)
		}
	}
}
