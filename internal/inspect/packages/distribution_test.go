package packages

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func TestReadOS(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  touchstone.OS
	}{
		{"nothing", nil, touchstone.OS{}},
		{
			"os-release, quoted",
			map[string]string{"etc/os-release": "# x\nNAME='Debian'\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n"},
			touchstone.OS{ID: "debian", Version: "12", Codename: "bookworm", Name: `Debian "12"`, Path: "etc/os-release"},
		},
		{
			"an empty one does not hide the other",
			map[string]string{"etc/os-release": "", "usr/lib/os-release": "ID=Wolfi\n"},
			touchstone.OS{ID: "wolfi", Path: "usr/lib/os-release"},
		},
		{"old Alpine", map[string]string{"etc/alpine-release": "3.2.3\n"}, touchstone.OS{ID: "alpine", Version: "3.2.3", Name: "Alpine Linux 3.2.3", Path: "etc/alpine-release"}},
		{"old Debian", map[string]string{"etc/debian_version": "6.0.10\n"}, touchstone.OS{ID: "debian", Version: "6", Name: "Debian GNU/Linux 6.0.10", Path: "etc/debian_version"}},
		{"Debian to come", map[string]string{"etc/debian_version": "trixie/sid\n"}, touchstone.OS{ID: "debian", Codename: "trixie", Name: "Debian GNU/Linux trixie/sid", Path: "etc/debian_version"}},
		{"old CentOS", map[string]string{"etc/redhat-release": "CentOS release 6.10 (Final)\n"}, touchstone.OS{ID: "centos", Version: "6.10", Name: "CentOS release 6.10 (Final)", Path: "etc/redhat-release"}},
	} {
		tree := treeOf(test.files)
		got := ReadOS(func(path string) ([]byte, error) { return fs.ReadFile(tree, path) })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, test := range []struct {
		purl      string
		os        touchstone.OS
		ecosystem string
		want      string
	}{
		{"pkg:deb/a@1?arch=amd64", touchstone.OS{ID: "debian", Version: "12"}, "Debian:12", "pkg:deb/debian/a@1?arch=amd64&distro=debian-12"},
		{"pkg:deb/a@1", touchstone.OS{ID: "debian", Codename: "trixie"}, "Debian:13", "pkg:deb/debian/a@1?distro=debian-trixie"},
		{"pkg:deb/a@1", touchstone.OS{ID: "ubuntu", Version: "22.04"}, "Ubuntu:22.04:LTS", "pkg:deb/ubuntu/a@1?distro=ubuntu-22.04"},
		{"pkg:deb/a@1", touchstone.OS{ID: "ubuntu", Version: "24.10"}, "Ubuntu:24.10", "pkg:deb/ubuntu/a@1?distro=ubuntu-24.10"},
		{"pkg:deb/a@1", touchstone.OS{ID: "linuxmint", Version: "22"}, "", "pkg:deb/linuxmint/a@1?distro=linuxmint-22"},
		{"pkg:deb/a@1", touchstone.OS{}, "", "pkg:deb/a@1"},
		{"pkg:apk/a@1", touchstone.OS{ID: "alpine", Version: "3.20.3"}, "Alpine:v3.20", "pkg:apk/alpine/a@1?distro=alpine-3.20.3"},
		{"pkg:apk/a@1", touchstone.OS{ID: "alpine", Version: "3.21.0_alpha20240807"}, "Alpine:edge", "pkg:apk/alpine/a@1?distro=alpine-3.21.0_alpha20240807"},
		{"pkg:apk/a@1", touchstone.OS{ID: "wolfi", Version: "20230201"}, "Wolfi", "pkg:apk/wolfi/a@1?distro=wolfi-20230201"},
		{"pkg:apk/a@1", touchstone.OS{ID: "chainguard", Version: "20230214"}, "Chainguard", "pkg:apk/chainguard/a@1?distro=chainguard-20230214"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "rhel", Version: "9.4"}, "Red Hat:enterprise_linux:9::baseos", "pkg:rpm/redhat/a@1?distro=rhel-9.4"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "rhel", Version: "7.9"}, "Red Hat:enterprise_linux:7::server", "pkg:rpm/redhat/a@1?distro=rhel-7.9"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "rocky", Version: "9.3"}, "Rocky Linux:9", "pkg:rpm/rocky/a@1?distro=rocky-9.3"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "almalinux", Version: "9.3"}, "AlmaLinux:9", "pkg:rpm/almalinux/a@1?distro=almalinux-9.3"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "opensuse-leap", Version: "15.6"}, "openSUSE:Leap 15.6", "pkg:rpm/opensuse/a@1?distro=opensuse-leap-15.6"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "opensuse-tumbleweed", Version: "20241010"}, "openSUSE:Tumbleweed", "pkg:rpm/opensuse/a@1?distro=opensuse-tumbleweed-20241010"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "sles", Version: "15.5"}, "SUSE:Linux Enterprise Server 15 SP5", "pkg:rpm/suse/a@1?distro=sles-15.5"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "mariner", Version: "2.0"}, "Azure Linux:2", "pkg:rpm/azurelinux/a@1?distro=mariner-2.0"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "photon", Version: "5.0"}, "Photon OS:5.0", "pkg:rpm/photon/a@1?distro=photon-5.0"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "openeuler", Version: "24.03", Name: "openEuler 24.03 (LTS-SP1)"}, "openEuler:24.03-LTS-SP1", "pkg:rpm/openeuler/a@1?distro=openeuler-24.03"},
		{"pkg:rpm/a@1", touchstone.OS{ID: "fedora", Version: "41"}, "", "pkg:rpm/fedora/a@1?distro=fedora-41"},
		{"pkg:npm/a@1", touchstone.OS{ID: "debian", Version: "12"}, "npm", "pkg:npm/a@1"},
	} {
		p := touchstone.Package{Name: "a", Version: "1", PURL: test.purl}
		if strings.HasPrefix(test.purl, "pkg:npm/") {
			p.Ecosystem = "npm"
		}
		in := []touchstone.Package{p}
		got := Complete(in, test.os)[0]
		if got.Ecosystem != test.ecosystem || got.PURL != test.want {
			t.Errorf("%s on %s %s: %q %s, want %q %s", test.purl, test.os.ID, test.os.Version, got.Ecosystem, got.PURL, test.ecosystem, test.want)
		}
		if diff := cmp.Diff(p, in[0]); diff != "" {
			t.Error("the package given was changed: ", diff)
		}
		if again := Complete([]touchstone.Package{got}, test.os)[0]; again.PURL != got.PURL || again.Ecosystem != got.Ecosystem {
			t.Errorf("completing twice gives %+v", again)
		}
	}
}

func TestKernelByproduct(t *testing.T) {
	for _, test := range []struct {
		kind, name, source string
		want               bool
	}{
		{"deb", "linux-libc-dev", "linux", true},
		{"deb", "linux-headers-6.8.0-45-generic", "linux", true},
		{"deb", "linux-headers-amd64", "linux-signed-amd64", true},
		{"deb", "linux-tools-common", "linux", true},
		{"deb", "bpftool", "linux", true},
		{"deb", "linux-image-6.1.0-25-amd64", "linux-signed-amd64", false},
		{"deb", "linux-modules-6.8.0-45-generic", "linux-aws-6.8", false},
		{"deb", "linux-base", "linux-base", false},
		{"deb", "bash", "", false},
		{"rpm", "kernel-headers", "kernel", true},
		{"rpm", "kernel-tools-libs", "kernel", true},
		{"rpm", "kernel-core", "kernel", false},
		{"rpm", "kernel", "", false},
		{"rpm", "glibc-headers", "glibc", false},
		{"apk", "linux-headers", "", true},
		{"apk", "linux-lts", "", false},
	} {
		p := touchstone.Package{Name: test.name, Source: test.source, PURL: "pkg:" + test.kind + "/x@1"}
		if got := KernelByproduct(p); got != test.want {
			t.Errorf("%s %s (%s): %v", test.kind, test.name, test.source, got)
		}
	}
}
