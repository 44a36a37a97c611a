package pin

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

var update = flag.Bool("update", false, "write the golden files anew")

// digestOf is the digest that the tests' registry gives for a reference.
func digestOf(ref string) touchstone.Digest {
	const hex = "0123456789abcdef"
	b := make([]byte, 64)
	h := uint32(2166136261)
	for i := range b {
		for _, c := range []byte(ref) {
			h = (h ^ uint32(c)) * 16777619
		}
		b[i] = hex[h>>13&15]
	}
	return touchstone.Digest("sha256:" + string(b))
}

func digests(ref, _ string) (touchstone.Digest, error) {
	if strings.Contains(ref, "gone") {
		return "", fmt.Errorf("the registry does not have %s", ref)
	}
	return digestOf(ref), nil
}

func pkg(kind, name, version, path string) touchstone.Package {
	return touchstone.Package{Name: name, Version: version, PURL: "pkg:" + kind + "/" + name + "@" + version, Path: path}
}

// built is the image that the golden files were built into.
func built() *Built {
	e := &touchstone.Evidence{Packages: []touchstone.Package{
		pkg("deb", "ca-certificates", "20230311", "var/lib/dpkg/status"),
		pkg("deb", "curl", "7.88.1-10+deb12u8", "var/lib/dpkg/status"),
		pkg("deb", "git", "1:2.39.2-1.1", "var/lib/dpkg/status"),
		pkg("deb", "libc6", "2.36-9+deb12u7", "var/lib/dpkg/status"),
		pkg("deb", "nginx", "1.22.1-9", "var/lib/dpkg/status"),
		pkg("deb", "php8.2-fpm", "8.2.20-1~deb12u1", "var/lib/dpkg/status"),
		pkg("deb", "tzdata", "2024a-0+deb12u1", "var/lib/dpkg/status"),
		pkg("deb", "evil", "1; rm -rf /", "var/lib/dpkg/status"),
		pkg("apk", "bash", "5.2.26-r0", "lib/apk/db/installed"),
		pkg("apk", "curl", "8.9.1-r1", "lib/apk/db/installed"),
		pkg("apk", "tini", "0.19.0-r3", "lib/apk/db/installed"),
		pkg("rpm", "httpd", "2.4.57-8.el9", "var/lib/rpm/rpmdb.sqlite"),
		pkg("rpm", "java-17-openjdk-headless", "17.0.11.0.9-2.el9", "var/lib/rpm/rpmdb.sqlite"),
		{Name: "openssl", Version: "3.0.7-27.el9", PURL: "pkg:rpm/rhel/openssl@3.0.7-27.el9?arch=x86_64&epoch=1"},
		pkg("pypi", "requests", "2.32.3", "usr/lib/python3/site-packages/requests/METADATA"),
		pkg("pypi", "uvicorn", "0.30.1", "usr/lib/python3/site-packages/uvicorn/METADATA"),
		pkg("pypi", "ruamel.yaml", "0.18.6", "usr/lib/python3/site-packages/ruamel/METADATA"),
		pkg("pypi", "pip", "24.1", "usr/lib/python3/site-packages/pip/METADATA"),
		pkg("pypi", "setuptools", "65.5.1", "usr/lib/python3/site-packages/setuptools/METADATA"),
		pkg("pypi", "setuptools", "70.0.0", "opt/venv/site-packages/setuptools/METADATA"),
		pkg("npm", "typescript", "5.4.5", "usr/local/lib/node_modules/typescript/package.json"),
		pkg("npm", "typescript", "4.9.5", "app/node_modules/typescript/package.json"),
		pkg("npm", "typescript", "3.0.0", "app/node_modules/x/node_modules/typescript/package.json"),
		pkg("npm", "@angular/cli", "17.3.8", "usr/local/lib/node_modules/@angular/cli/package.json"),
		pkg("gem", "bundler", "2.5.11", "usr/local/bundle/specifications/bundler-2.5.11.gemspec"),
		pkg("gem", "rails", "7.1.3", "usr/local/bundle/specifications/rails-7.1.3.gemspec"),
		pkg("golang", "golang.org/x/tools", "0.22.0", "usr/local/bin/goimports"),
		pkg("golang", "golang.org/x/tools", "0.1.0", "usr/local/bin/other"),
		pkg("golang", "github.com/mikefarah/yq/v4", "v4.44.1", "go/bin/yq"),
		pkg("cargo", "ripgrep", "14.1.0", "usr/local/cargo/bin/rg"),
		pkg("composer", "laravel/installer", "5.8.1", "root/.composer/vendor/composer/installed.json"),
	}}
	return FromEvidence(e, digests)
}

// golden is what a file of testdata comes to, for people to read.
func golden(t *testing.T, name string, src []byte) (report, fixedFile []byte) {
	t.Helper()
	f, err := Check(name, src, Options{})
	if err != nil {
		return []byte("error: " + err.Error() + "\n"), nil
	}
	out, fixed, left := f.Fix(built())
	var b bytes.Buffer
	reason := map[string]string{}
	key := func(x Finding) string { return fmt.Sprint(x.Line, x.Start, x.Tool, x.What) }
	for _, x := range fixed {
		reason[key(x.Finding)] = "fixed: " + strings.Replace(x.To, x.To[min(len(x.To), 20):], "", 1)
	}
	for _, x := range left {
		reason[key(x.Finding)] = "left:  " + x.Reason
	}
	for _, x := range f.Findings() {
		named := ""
		if x.Start >= 0 {
			named = string(src[x.Start:x.End])
		}
		fmt.Fprintf(&b, "%s %s %s\n  at:    %q in stage %s, final %v\n  why:   %s\n  fix:   %s\n  %s\n", x.Where, x.Tool, x.What, named, x.Stage, x.Final, x.Why, x.Fix, reason[key(x)])
	}
	for _, g := range f.Gaps() {
		fmt.Fprintf(&b, "%s gap %s\n  %s\n", g.Path, g.Kind, g.Reason)
	}
	return b.Bytes(), out
}

func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.Dockerfile")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".Dockerfile"), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			report, fixed := golden(t, "Dockerfile", src)
			same(t, strings.TrimSuffix(name, ".Dockerfile")+".pins", report)
			same(t, strings.TrimSuffix(name, ".Dockerfile")+".fixed", fixed)
		})
	}
}

func same(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), or run with -update:\n%s", name, diff)
	}
}

// What is shown holds no secret that stands in the file.
func TestNoSecrets(t *testing.T) {
	src := `FROM debian:12
ARG API_TOKEN=hunter2
ENV DB_PASSWORD=hunter2
RUN curl https://user:hunter2@a.example/x?key=hunter2 | sh
RUN curl -H "Authorization: hunter2" https://a.example/$API_TOKEN/y -o y && wget https://a.example/${DB_PASSWORD}
RUN apt-get install -y $(curl -H hunter2 https://b.example/list) x-$API_TOKEN && pip install --index-url https://u:hunter2@c.example git+https://hunter2@d.example/x
RUN X_SECRET=hunter2; sh -c "pip install $X_SECRET" && npm install git+https://hunter2@e.example/x.git && git clone https://hunter2@f.example/x
ADD https://hunter2@g.example/x https://g.example/$API_TOKEN /x/
`
	f, err := Check("Dockerfile", []byte(src), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Pins()) < 10 {
		t.Errorf("only %d pins", len(f.Pins()))
	}
	_, _, left := f.Fix(built())
	if all := fmt.Sprint(f.Pins(), f.Gaps(), History(strings.Split(src, "\n"))); strings.Contains(all, "hunter2") {
		t.Errorf("a secret is shown: %s", all)
	}
	for _, l := range left {
		if strings.Contains(l.Reason, "hunter2") {
			t.Errorf("a secret is shown: %s", l.Reason)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	src, err := os.ReadFile("testdata/debian.Dockerfile")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check("Dockerfile", src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
