package surface

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

const testABI = 62<<8 | 2

func program(needed ...string) Facts {
	return Facts{Exec: touchstone.ExecELF, ABI: testABI, Interp: "/lib/ld-linux.so.2", Needed: needed}
}

func library(soname string, needed ...string) Facts {
	return Facts{Exec: touchstone.ExecLibrary, ABI: testABI, Soname: soname, Needed: needed}
}

func script(interp, argument string) Facts {
	return Facts{Exec: touchstone.ExecScript, Interp: interp, Argument: argument}
}

func TestToolbox(t *testing.T) {
	none := category(-1)
	box := newToolbox()
	for name, want := range map[string]category{
		"bash": shells, "busybox": shells, "sh": shells, "sha256sum": none, "nologin": none, "bashbug": none,
		"python3": interpreters, "python3.13t": interpreters, "python2.7-dbg": interpreters, "python3-config": none, "perl5.36.0": interpreters,
		"perl5.36-x86_64-linux-gnu": interpreters, "perlbug": none, "node": interpreters, "node_exporter": none, "php8.2": interpreters,
		"pip3.11": packageManagers, "pip2pi": none, "apt": packageManagers, "apt-cache": none, "cpan5.36-x86_64-linux-gnu": packageManagers,
		"gcc-12": debugTools, "x86_64-linux-gnu-gcc-12": debugTools, "x86_64-alpine-linux-musl-g++": debugTools, "gcc-ar-12": none,
		"x86_64-linux-gnu-ld": debugTools, "kubectl-linux-amd64": networkTools, "nc.openbsd": networkTools, "ping4": none,
		"sshd": loginDaemons, "sshd-keygen": none, "in.telnetd": loginDaemons, "login": none, "": none, "3.11": none,
	} {
		got, ok := box.find(name)
		if !ok {
			got = none
		}
		if got != want {
			t.Errorf("%q is in list %d, want %d", name, got, want)
		}
	}
}

// Every row says why, and no name is in two lists.
func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range [][]tool{shellTable(), managerTable(), interpreterTable(), networkTable(), debugTable(), loginTable()} {
		for _, row := range table {
			if seen[row.name] || row.why == "" || row.name != path.Base(row.name) {
				t.Errorf("row %q is wrong or there twice", row.name)
			}
			seen[row.name] = true
		}
	}
}

func TestCapabilities(t *testing.T) {
	raw := func(words ...uint32) []byte {
		var b []byte
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	tests := []struct {
		name  string
		value []byte
		want  string
		fails bool
	}{
		{"revision 1", raw(0x01000001, 1<<13, 0), "cap_net_raw", false},
		{"revision 2, as ping has it", raw(0x02000001, 1<<13, 0, 0, 0), "cap_net_raw", false},
		{"several, inheritable too", raw(0x02000000, 1<<10, 1<<12, 0, 0), "cap_net_bind_service,cap_net_admin", false},
		{"upper half", raw(0x02000001, 0, 0, 1<<7, 0), "cap_bpf", false},
		{"unknown to us", raw(0x02000001, 0, 0, 1<<31, 0), "cap_63", false},
		{"revision 3, namespaced", raw(0x03000001, 1<<21, 0, 0, 0, 1000), "cap_sys_admin", false},
		{"none", raw(0x02000000, 0, 0, 0, 0), "", false},
		{"too short", raw(0x02000001, 1), "", true},
		{"empty", nil, "", true},
		{"revision 4", raw(0x04000001, 1, 0, 0, 0), "", true},
		{"too long", raw(0x02000001, 1, 0, 0, 0, 0), "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := capabilities(tt.value)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestMeasureLists(t *testing.T) {
	m := memory{}
	m.put("usr/bin/bash", 0o755, program())
	m.put("tmp/.x", 0o755, program()) // the same bytes as bash
	twin := m["tmp/.x"]
	twin.SHA256 = m["usr/bin/bash"].SHA256
	m["tmp/.x"] = twin
	m.put("usr/bin/zsh", 0o644, program()) // cannot be executed
	m.put("usr/share/bug/dash", 0o755, script("/bin/sh", ""))
	m.put("etc/init.d/sshd", 0o755, script("/bin/sh", ""))
	m.link("usr/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js")
	m.link("usr/local/bin/npm", "/usr/lib/node_modules/npm/bin/npm-cli.js")
	m.put("usr/lib/node_modules/npm/bin/npm-cli.js", 0o755, script("/usr/bin/env", "node"))
	m.link("usr/bin/nc", "/etc/alternatives/nc")
	m.link("etc/alternatives/nc", "/usr/bin/nc.traditional")
	m.put("usr/bin/nc.traditional", 0o755, program())
	m.link("usr/bin/curl", "curl") // in a circle
	m.link("usr/bin/wget", "/gone")
	// busybox with hard links, as its own image has it
	for _, name := range []string{"bin/busybox", "bin/sh", "bin/ash", "bin/telnet", "bin/cat"} {
		m.put(name, 0o755, Facts{Exec: touchstone.ExecELF, ABI: testABI, Static: true})
		e := m[name]
		e.SHA256 = "sha256:busybox"
		m[name] = e
	}
	m.put("usr/bin/su", 0o4755, program())
	m.put("usr/bin/write", 0o2755, program())
	m.put("usr/bin/locked", 0o2644, program()) // mandatory locking, not setgid
	m.put("usr/bin/ping", 0o755, program())
	e := m["usr/bin/ping"]
	e.Capability = []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	m["usr/bin/ping"] = e
	e = m["usr/bin/bash"]
	e.Capability = []byte{9}
	m["usr/bin/bash"] = e
	m.dir("tmp", 0o1777)
	m.dir("data", 0o777)
	m.dir("dev", 0o777)
	m.put("etc/motd", 0o666, Facts{})
	m.put("dev/null", 0o666, Facts{})

	got, gaps := Measure(m, touchstone.Configuration{})
	want := touchstone.Surface{
		Setuid:          []string{"usr/bin/su", "usr/bin/write"},
		Capabilities:    []string{"usr/bin/ping: cap_net_raw"},
		Shells:          []string{"bin/busybox", "tmp/.x", "usr/bin/bash"},
		PackageManagers: []string{"usr/lib/node_modules/npm/bin/npm-cli.js"},
		Interpreters:    []string{},
		NetworkTools:    []string{"bin/busybox", "usr/bin/nc.traditional", "usr/bin/ping"},
		DebugTools:      []string{}, LoginDaemons: []string{},
		WorldWritable: []string{"data", "etc/motd"},
		Needed:        []string{}, Unneeded: []string{},
		Size: 12,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantGaps := []touchstone.Gap{{Kind: touchstone.GapCorrupt, Path: "usr/bin/bash", Layer: -1, Reader: "surface", Reason: "file capabilities of 1 bytes"}}
	if diff := cmp.Diff(wantGaps, gaps); diff != "" {
		t.Error(diff)
	}
}

func TestMeasureBounded(t *testing.T) {
	m := memory{}
	for i := range MaxEntries + 5 {
		m.put(fmt.Sprintf("data/%06d", i), 0o666, Facts{})
	}
	got, gaps := Measure(m, touchstone.Configuration{})
	if len(got.WorldWritable) != MaxEntries || got.Size != MaxEntries || len(gaps) != 1 || gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("%d entries, size %d, gaps %v", len(got.WorldWritable), got.Size, gaps)
	}
}

// Links that go round, up or through each other end in an answer.
func TestMeasureEntangled(t *testing.T) {
	m := memory{}
	for i := range 200 {
		m.link(fmt.Sprintf("d%d", i), fmt.Sprintf("/d%d/../d%d/x", (i+1)%200, (i+7)%200))
		m.link(fmt.Sprintf("l%d/sh", i), strings.Repeat(fmt.Sprintf("../d%d/", i), 100)+"sh")
	}
	m.link("bin", "../../../usr/bin")
	m.put("usr/bin/dash", 0o755, program())
	m.link("usr/bin/sh", "../../../../bin/dash")
	got, _ := Measure(m, touchstone.Configuration{Entrypoint: []string{"sh"}})
	if diff := cmp.Diff([]string{"usr/bin/dash"}, got.Shells); diff != "" || !got.EntrypointKnown {
		t.Error(got.EntrypointKnown, diff)
	}
}

// debian is a tree with merged /usr and a few programs.
func debian() memory {
	m := memory{}
	m.link("bin", "usr/bin")
	m.link("lib", "usr/lib")
	m.put("usr/lib/ld-linux.so.2", 0o755, library("ld-linux.so.2"))
	m.put("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, library("libc.so.6"))
	m.put("etc/ld.so.conf.d/multiarch.conf", 0o644, Facts{Lines: []string{"/lib/x86_64-linux-gnu"}})
	m.put("usr/bin/dash", 0o755, program("libc.so.6"))
	m.link("usr/bin/sh", "dash")
	m.put("usr/bin/env", 0o755, program("libc.so.6"))
	m.put("usr/bin/tini", 0o755, Facts{Exec: touchstone.ExecELF, ABI: testABI, Static: true})
	m.put("usr/bin/gosu", 0o755, Facts{Exec: touchstone.ExecELF, ABI: testABI, Static: true})
	m.put("usr/bin/python3.11", 0o755, program("libc.so.6", "libpy.so.1"))
	m.link("usr/bin/python3", "python3.11")
	m.put("usr/lib/x86_64-linux-gnu/libpy.so.1", 0o644, library("libpy.so.1", "libc.so.6"))
	m.put("app/server", 0o755, program("libc.so.6"))
	m.put("app/run.py", 0o755, script("/usr/bin/env", "-S python3 -u"))
	m.put("app/entry.sh", 0o755, script("/bin/sh", "-e"))
	m.put("app/loop", 0o755, script("/app/loop", ""))
	m.put("app/text", 0o755, Facts{})
	return m
}

func TestEntrypoint(t *testing.T) {
	const libc, ld, py = "usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/ld-linux.so.2", "usr/lib/x86_64-linux-gnu/libpy.so.1"
	tests := []struct {
		name string
		cfg  touchstone.Configuration
		want []string // nil when unknown
	}{
		{"nothing", touchstone.Configuration{}, nil},
		{"absolute", touchstone.Configuration{Entrypoint: []string{"/app/server"}}, []string{ld, libc}},
		{"relative", touchstone.Configuration{Entrypoint: []string{"./server"}, WorkingDir: "/app"}, []string{ld, libc}},
		{"in PATH", touchstone.Configuration{Command: []string{"python3", "x.py"}}, []string{ld, libc, py}},
		{"in own PATH", touchstone.Configuration{Command: []string{"server"}, Environment: []string{"PATH=/app:/bin"}}, []string{ld, libc}},
		{"not in own PATH", touchstone.Configuration{Command: []string{"python3"}, Environment: []string{"PATH=/app"}}, nil},
		{"static", touchstone.Configuration{Entrypoint: []string{"tini", "-V"}}, nil},
		{"tini", touchstone.Configuration{Entrypoint: []string{"tini", "-g", "-e", "143", "--"}, Command: []string{"python3"}}, []string{ld, libc, py}},
		{"gosu", touchstone.Configuration{Entrypoint: []string{"gosu", "app:app", "python3"}}, []string{ld, libc, py}},
		{"env", touchstone.Configuration{Entrypoint: []string{"env", "-u", "A", "B=c", "python3"}}, []string{ld, libc, py}},
		{"script through env -S", touchstone.Configuration{Entrypoint: []string{"/app/run.py"}}, []string{ld, libc, py}},
		{"script that executes its arguments", touchstone.Configuration{Entrypoint: []string{"/app/entry.sh"}, Command: []string{"python3"}}, []string{ld, libc, py}},
		{"script in a circle", touchstone.Configuration{Entrypoint: []string{"/app/loop"}}, nil},
		{"text", touchstone.Configuration{Entrypoint: []string{"/app/text"}}, nil},
		{"folder", touchstone.Configuration{Entrypoint: []string{"/"}}, nil},
		{"shell form", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", "exec python3 -m app --port=$PORT"}}, []string{ld, libc, py}},
		{"shell form with more", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-ec", `cd /app && A=1 ./server "$@"`}}, nil},
		{"shell form with builtins", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", `cd /app && export A=1; exec "/app/server" > log`}}, []string{ld, libc}},
		{"shell form with a variable", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", "exec $SERVER"}}, nil},
		{"shell form with a function", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", "python3() { :; }; python3"}}, nil},
		{"shell form that is none", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", "if ("}}, nil},
		{"shell form, very deep", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", strings.Repeat("(", 1<<20)}}, nil},
		{"shell in shell", touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", `exec sh -c "exec python3"`}}, []string{ld, libc, py}},
		{"preloaded", touchstone.Configuration{Entrypoint: []string{"/app/server"}, Environment: []string{"LD_PRELOAD=/lib/x86_64-linux-gnu/libpy.so.1"}}, []string{ld, libc, py}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, gaps := Measure(debian(), tt.cfg)
			if got.EntrypointKnown != (tt.want != nil) {
				t.Errorf("known: %v", got.EntrypointKnown)
			}
			if tt.want == nil {
				tt.want = []string{}
			}
			if diff := cmp.Diff(tt.want, got.Needed); diff != "" {
				t.Error(diff)
			}
			if len(gaps) > 0 {
				t.Error(gaps)
			}
		})
	}
}

func TestClosure(t *testing.T) {
	m := debian()
	put := func(name string, f Facts, change func(*Facts)) {
		if change != nil {
			change(&f)
		}
		m.put(name, 0o755, f)
	}
	put("app/a", program("libr.so", "libl.so", "libmissing.so.9", "libwrapped.so", "/app/direct.so"), func(f *Facts) { f.RunPath = "$ORIGIN/../opt/run:/nowhere" })
	put("opt/run/libr.so", library("libr.so", "liblocal.so"), func(f *Facts) { f.RPath = "${ORIGIN}/local" })
	put("opt/run/local/liblocal.so", library("liblocal.so"), nil)
	put("usr/lib/libl.so", library("libl.so"), func(f *Facts) { f.ABI = 3<<8 | 1 }) // another machine's
	put("usr/local/lib/libl.so", library("libl.so"), nil)
	put("opt/hidden/libwrapped.so", library("libwrapped.so"), nil) // a wrapper sets LD_LIBRARY_PATH
	put("app/direct.so", library(""), nil)
	put("usr/lib/libunused.so.1", library("libunused.so.1", "libunused2.so"), nil)
	put("usr/lib/libunused2.so", library("libunused2.so"), nil)
	put("usr/lib/libopened.so.1.2", library("libopened.so.1"), nil)
	put("usr/lib/libGLX_mesa.so.0", library("libGLX_mesa.so.0"), nil)
	put("usr/lib/libnss_files.so.2", library("libnss_files.so.2"), nil)
	put("usr/lib/security/pam_unix.so", library("", "libplug.so"), nil)
	put("usr/lib/libplug.so", library("libplug.so"), nil)
	put("opt/other/libother.so", library("libother.so"), nil)
	put("app/b", program(), func(f *Facts) { f.Mentions = []string{"libGLX_*", "libopened.so"} })

	got, gaps := Measure(m, touchstone.Configuration{Entrypoint: []string{"/app/a"}})
	want := []string{
		"app/direct.so", "opt/hidden/libwrapped.so", "opt/run/libr.so", "opt/run/local/liblocal.so",
		"usr/lib/ld-linux.so.2", "usr/local/lib/libl.so",
	}
	if diff := cmp.Diff(want, got.Needed); diff != "" {
		t.Errorf("needed: %s", diff)
	}
	want = []string{"usr/lib/libl.so", "usr/lib/libunused.so.1", "usr/lib/libunused2.so"}
	if diff := cmp.Diff(want, got.Unneeded); diff != "" {
		t.Errorf("unneeded: %s", diff)
	}
	if len(gaps) > 0 {
		t.Error(gaps)
	}

	put("opt/run/libr.so", library("libr.so"), func(f *Facts) { f.Incomplete = "cut off" })
	if _, gaps = Measure(m, touchstone.Configuration{Entrypoint: []string{"/app/a"}}); len(gaps) != 1 || gaps[0].Path != "opt/run/libr.so" {
		t.Errorf("a needed file that could not be read is no gap: %v", gaps)
	}
}

func FuzzEntrypoint(f *testing.F) {
	for _, s := range []string{"exec python3", "sh -c 'sh -c python3'", "env -S python3 x", "a() { b; }; $(c)"} {
		f.Add(s)
	}
	m := debian()
	f.Fuzz(func(_ *testing.T, script string) {
		Measure(m, touchstone.Configuration{Entrypoint: []string{"/bin/sh", "-c", script}})
		Measure(m, touchstone.Configuration{Entrypoint: strings.Fields(script)})
	})
}

func BenchmarkMeasure(b *testing.B) {
	m := debian()
	for i := range 1000 {
		m.put(fmt.Sprintf("usr/bin/prog%d", i), 0o755, program("libc.so.6", fmt.Sprintf("lib%d.so", i%100)))
		m.put(fmt.Sprintf("usr/share/doc/text%d", i), 0o644, Facts{})
	}
	for i := range 100 {
		m.put(fmt.Sprintf("usr/lib/lib%d.so", i), 0o644, library(fmt.Sprintf("lib%d.so", i), "libc.so.6"))
	}
	for b.Loop() {
		Measure(m, touchstone.Configuration{Entrypoint: []string{"python3"}})
	}
}
