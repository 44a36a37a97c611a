package packages

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	scalibr "github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
)

func TestAlpineImages(t *testing.T) {
	for _, test := range []struct {
		image, ecosystem string
		some             []string
		owned            string
	}{
		{"alpine-minirootfs-3.8.5-x86_64.tar.gz", "Alpine:v3.8", []string{"busybox 1.28.4-r3", "libressl2.7-libcrypto 2.7.5-r0 (libressl )"}, "bin/busybox"},
		{"alpine-minirootfs-3.20.3-x86_64.tar.gz", "Alpine:v3.20", []string{"busybox 1.36.1-r29", "ssl_client 1.36.1-r29 (busybox )"}, "usr/bin/ssl_client"},
	} {
		t.Run(test.image, func(t *testing.T) {
			tree := unpackTar(t, shared(t, "data/images/"+test.image))
			got := readTree(t, tree)
			names := got.names()
			for _, want := range test.some {
				if !slices.Contains(names, want) {
					t.Errorf("%s is not among %q", want, names)
				}
			}
			for _, p := range got.Packages {
				if p.Ecosystem != test.ecosystem || len(p.Licences) != 1 || p.Path != "lib/apk/db/installed" {
					t.Errorf("%+v", p)
				}
			}
			if !slices.Contains(got.Owned, test.owned) || slices.Contains(got.Owned, "lib/apk/db/installed") {
				t.Errorf("owned: %q", got.Owned)
			}
			if len(got.Gaps) > 0 {
				t.Error(got.Gaps)
			}
			sameAsScalibr(t, apk.New, "lib/apk/db/installed", tree["lib/apk/db/installed"].Data, got.Packages)
		})
	}
}

// sameAsScalibr compares names and versions with those that scalibr's extractor
// finds.
func sameAsScalibr(t *testing.T, newExtractor func(*cpb.PluginConfig) (scalibr.Extractor, error), path string, content []byte, got []touchstone.Package) {
	t.Helper()
	silenceScalibr()
	e, err := newExtractor(&cpb.PluginConfig{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := e.Extract(context.Background(), &scalibr.ScanInput{FS: emptyFS{}, Path: path, Reader: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	for _, p := range found.Packages {
		want = append(want, p.Name+" "+p.Version)
	}
	for _, p := range got {
		have = append(have, p.Name+" "+p.Version)
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-scalibr +ours\n%s", diff)
	}
}

const dpkgStatus = `Package: bash
Status: install ok installed
Maintainer: Matthias Klose <doko@debian.org>
Architecture: amd64
Version: 5.2.15-2+b2
Source: bash (5.2.15-2)
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.

Package: libssl3
Status: install ok installed
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Architecture: amd64
Multi-Arch: same
Source: openssl
Version: 3.0.11-1~deb12u2

Package: removed
Status: deinstall ok config-files
Version: 1.0

Package: half
Status: install ok unpacked
Maintainer: Somebody <x@ubuntu.com>
Version: 1:2.0

Package: docker-ce-cli
Status: install ok installed
Maintainer: Docker <support@docker.com>
Architecture: amd64
Version: 5:27.3.1-1~debian.12~bookworm
Source: docker-ce

Package: linux-libc-dev
Status: install ok installed
Maintainer: Debian Kernel Team <debian-kernel@lists.debian.org>
Architecture: amd64
Source: linux
Version: 6.1.119-1
`

func TestDpkg(t *testing.T) {
	got := readTree(t, treeOf(map[string]string{
		"etc/os-release":                           "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"var/lib/dpkg/status":                      dpkgStatus,
		"var/lib/dpkg/info/bash.list":              "/.\n/bin\n/bin/bash\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/bash\n/usr/share/doc/bash/copyright\n",
		"var/lib/dpkg/info/libssl3:amd64.list":     "/.\n/usr\n/usr/lib\n/usr/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu/libssl.so.3\n",
		"var/lib/dpkg/info/bash.md5sums":           "0  bin/bash\n",
		"usr/share/doc/not/var/lib/dpkg/info/list": "",
	}))
	want := []string{
		"bash 5.2.15-2+b2 ( 5.2.15-2)",
		"docker-ce-cli 5:27.3.1-1~debian.12~bookworm (docker-ce )",
		"half 1:2.0",
		"libssl3 3.0.11-1~deb12u2 (openssl )",
		"linux-libc-dev 6.1.119-1 (linux )",
	}
	if diff := cmp.Diff(want, got.names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"bin/bash", "usr/bin/bash", "usr/lib/x86_64-linux-gnu/libssl.so.3"}, got.Owned); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"var/lib/dpkg/info/docker-ce-cli.list", "var/lib/dpkg/info/docker-ce-cli:amd64.list"}, got.Disowned); diff != "" {
		t.Error(diff)
	}
	for _, p := range got.Packages {
		if p.Ecosystem != "Debian:12" {
			t.Errorf("%s is of %q", p.Name, p.Ecosystem)
		}
		if got, want := KernelByproduct(p), p.Name == "linux-libc-dev"; got != want {
			t.Errorf("KernelByproduct(%s) = %v", p.Name, got)
		}
		if p.Name == "half" && p.PURL != "pkg:deb/debian/half@1:2.0?distro=debian-12" {
			t.Error(p.PURL)
		}
	}
	if len(got.Gaps) > 0 {
		t.Error(got.Gaps)
	}
}

// TestDpkgAgreesWithScalibr reads the status of the machine that runs the test.
func TestDpkgAgreesWithScalibr(t *testing.T) {
	content, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		t.Skip("this machine has no dpkg: ", err)
	}
	got := readOne(t, "var/lib/dpkg/status", content)
	sameAsScalibr(t, dpkg.New, "var/lib/dpkg/status", content, got.Packages)
}

func TestDistroless(t *testing.T) {
	got := readTree(t, treeOf(map[string]string{
		"usr/lib/os-release":                    "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status.d/tzdata":          "Package: tzdata\nVersion: 2024a-0+deb12u1\nMaintainer: GNU Libc <x@lists.debian.org>\nArchitecture: all\n",
		"var/lib/dpkg/status.d/tzdata.md5sums":  "0123  usr/share/zoneinfo/UTC\n0123  ./lib/tz\n",
		"var/lib/dpkg/status.d/foreign":         "Package: foreign\nVersion: 1\nMaintainer: X <x@example.com>\n",
		"var/lib/dpkg/status.d/foreign.md5sums": "0123  opt/foreign\n",
	}))
	if diff := cmp.Diff([]string{"foreign 1", "tzdata 2024a-0+deb12u1"}, got.names()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"lib/tz", "opt/foreign", "usr/lib/tz"}, got.Owned); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"var/lib/dpkg/status.d/foreign.md5sums"}, got.Disowned); diff != "" {
		t.Error(diff)
	}
}

// TestRpm reads real databases, as they lie in scalibr's own module.
func TestRpm(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr").Output()
	if err != nil {
		t.Skip("the module github.com/google/osv-scalibr is not in the module cache: ", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "extractor", "filesystem", "os", "rpm", "testdata")
	for _, test := range []struct {
		file, path, release, ecosystem, want string
	}{
		{"rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite", "ID=almalinux\nVERSION_ID=9.4\n", "AlmaLinux:9", ""},
		{"Packages", "var/lib/rpm/Packages", "ID=\"rhel\"\nVERSION_ID=\"8.9\"\n", "Red Hat:enterprise_linux:8::baseos", ""},
		{"Packages.db", "var/lib/rpm/Packages.db", "ID=sles\nVERSION_ID=15.5\n", "SUSE:Linux Enterprise Server 15 SP5", ""},
		{"Packages_epoch", "var/lib/rpm/Packages", "ID=rocky\nVERSION_ID=8.9\n", "Rocky Linux:8", ":"},
	} {
		t.Run(test.file, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(dir, test.file))
			if err != nil {
				t.Skip("the module cache lacks its test data: ", err)
			}
			got := readTree(t, fstest.MapFS{test.path: {Data: content}, "etc/os-release": {Data: []byte(test.release)}})
			if len(got.Packages) == 0 || len(got.Gaps) > 0 {
				t.Fatalf("%d packages, gaps %v", len(got.Packages), got.Gaps)
			}
			for _, p := range got.Packages {
				if p.Ecosystem != test.ecosystem || !strings.HasPrefix(p.PURL, "pkg:rpm/") || !strings.Contains(p.Version, test.want) && test.file == "Packages_epoch" && strings.Contains(p.PURL, "epoch=") {
					t.Errorf("%+v", p)
				}
			}
			t.Logf("%d packages, %d owned files; %+v", len(got.Packages), len(got.Owned), got.Packages[0])
		})
	}
}

func TestRpmGarbageIsAGap(t *testing.T) {
	got := readTree(t, treeOf(map[string]string{
		"var/lib/rpm/rpmdb.sqlite":     "SQLite format 3\x00" + strings.Repeat("\x00", 600),
		"var/lib/rpm/rpmdb.sqlite-wal": "changes",
		"usr/share/rpm/Packages.db":    "RpmP" + strings.Repeat("\xff", 600),
	}))
	var kinds []string
	for _, g := range got.Gaps {
		kinds = append(kinds, string(g.Kind)+" "+g.Reader+" "+g.Path)
	}
	want := []string{
		"corrupt os/rpm usr/share/rpm/Packages.db",
		"corrupt os/rpm var/lib/rpm/rpmdb.sqlite",
		"unsupported os/rpm var/lib/rpm/rpmdb.sqlite-wal",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}

func TestOtherSystems(t *testing.T) {
	var wall bytes.Buffer
	z, err := zstd.NewWriter(&wall)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(z, `{"jsonwall":"1.0","schema":"1.0","count":3}
{"kind":"package","name":"libssl3","version":"3.0.2-0ubuntu1.10","sha256":"","arch":"amd64"}
{"kind":"path","path":"/usr/lib/libssl.so.3","mode":"0644"}
`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tree := treeOf(map[string]string{
		"etc/os-release":                                                     "ID=ubuntu\nVERSION_ID=\"22.04\"\n",
		"var/lib/chisel/manifest.wall":                                       wall.String(),
		"var/lib/pacman/local/bash-5.2.037-1/desc":                           "%NAME%\nbash\n\n%VERSION%\n5.2.037-1\n\n",
		"var/lib/pacman/local/bash-5.2.037-1/files":                          "%FILES%\nusr/\nusr/bin/\nusr/bin/bash\n\n%BACKUP%\netc/bash.bashrc\n",
		"var/db/pkg/app-shells/bash-5.2_p37/PF":                              "bash-5.2_p37\n",
		"var/db/pkg/app-shells/bash-5.2_p37/CONTENTS":                        "dir /bin\nobj /bin/my bash 0123 1700000000\nsym /bin/sh -> bash 1\n",
		"nix/store/1ddf3x30m0z6kknmrmapsc7liz8npi1w-perl-5.38.2/bin/ptar":    "x",
		"nix/store/1ddf3x30m0z6kknmrmapsc7liz8npi1w-perl-5.38.2/bin/perl":    "x",
		"nix/store/1ddf3x30m0z6kknmrmapsc7liz8npi1w-perl-5.38.2/a/b/c/d/e/f": "x",
	})
	got := readTree(t, tree)
	if diff := cmp.Diff([]string{"bash 5.2.037-1", "bash 5.2_p37", "libssl3 3.0.2-0ubuntu1.10", "perl 5.38.2", "perl 5.38.2"}, got.names()); diff != "" {
		t.Error(diff)
	}
	for _, p := range got.Packages {
		switch {
		case p.Name == "libssl3" && p.Ecosystem != "Ubuntu:22.04:LTS",
			p.Name == "perl" && p.Path != "nix/store/1ddf3x30m0z6kknmrmapsc7liz8npi1w-perl-5.38.2",
			p.Name == "bash" && p.Ecosystem != "":
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff([]string{"bin/my bash", "usr/bin/bash", "usr/bin/my bash", "usr/lib/libssl.so.3"}, got.Owned); diff != "" {
		t.Error(diff)
	}
	if len(got.Gaps) > 0 {
		t.Error(got.Gaps)
	}
}
