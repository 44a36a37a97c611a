package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

// home is one user's folders, in which the program is run as a process.
type home struct {
	testing.TB
	dir string
}

const killRules = `version: 1
environments: [prod]
rules:
  cvss: {prod: at most 3}
  gaps: {prod: refuse}
  no-advisories: {prod: refuse}
  stale-advisories: {prod: at most 24h}
`

func newHome(t testing.TB) home {
	h := home{t, t.TempDir()}
	h.write("touchstone.yaml", killRules)
	h.write("tmp/.keep", "")
	return h
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

func (h home) write(name, content string) {
	h.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), []byte(content), 0o644); err != nil {
		h.Fatal(err)
	}
}

// command is the program with the arguments, not yet started.
func (h home) command(args ...string) *exec.Cmd {
	c := exec.Command("touchstone", args...)
	c.Dir = h.dir
	c.Env = append(os.Environ(), "TOUCHSTONE_DATA="+h.path("data"), "TMPDIR="+h.path("tmp"), "TOUCHSTONE_QUIET=true",
		"XDG_CONFIG_HOME="+h.path("config"), "LANG=C.UTF-8")
	return c
}

// run runs the program to its end and returns its exit code and what it said.
func (h home) run(args ...string) (code int, stdout, stderr string) {
	h.Helper()
	var out, errs bytes.Buffer
	c := h.command(args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// must is run for what has to end with this code.
func (h home) must(code int, args ...string) string {
	h.Helper()
	got, out, errs := h.run(args...)
	if got != code {
		h.Fatalf("touchstone %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out
}

// holes returns the names of the holes that a check finds.
func (h home) holes(code int, args ...string) string {
	h.Helper()
	var doc touchstone.Check
	if err := json.Unmarshal([]byte(h.must(code, append([]string{"check", "-o", "json"}, args...)...)), &doc); err != nil {
		h.Fatal(err)
	}
	var ids []string
	for _, m := range doc.Matches {
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

// advisory writes a record about a package of Debian 12.
func (h home) advisory(folder, id, name string) {
	h.write(folder+"/"+id+".json", fmt.Sprintf(`{"schema_version":"1.6.0","id":"DEBIAN-%s","published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z","upstream":[%q],`+
		`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`+
		`"affected":[{"package":{"ecosystem":"Debian:12","name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"9"}]}]}]}`, id, id, name))
}

// image writes an archive of an image of Debian 12 with some files in each layer.
func (h home) image(name string, layers, files int) {
	h.Helper()
	im := makeimage.Image{Created: noon.AddDate(0, 0, -3), Config: v1.Config{User: "1000"}}
	for l := range layers {
		list := []makeimage.File{
			{Path: "usr/lib/os-release", Data: []byte("ID=debian\nVERSION_ID=\"12\"\n")},
			{Path: "var/lib/dpkg/status", Data: []byte("Package: openssl\nStatus: install ok installed\nVersion: 1\n\n")},
		}
		for f := range files {
			list = append(list, makeimage.File{Path: fmt.Sprintf("srv/%s-%d/%d.sh", name, l, f), Mode: 0o755, Data: fmt.Appendf(nil, "#!/bin/sh\necho %d\n", f)})
		}
		layer, err := makeimage.Files("COPY", list...)
		if err != nil {
			h.Fatal(err)
		}
		im.Layers = append(im.Layers, layer)
	}
	built, err := makeimage.Build(im)
	if err != nil {
		h.Fatal(err)
	}
	if err := makeimage.WriteArchive(h.path(name), "registry.example/"+strings.TrimSuffix(name, ".tar"), built); err != nil {
		h.Fatal(err)
	}
}

// killed starts the program and kills it after a while, if it has not ended.
func (h home) killed(after time.Duration, args ...string) {
	h.Helper()
	c := h.command(args...)
	if err := c.Start(); err != nil {
		h.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	_ = c.Wait() // killed or not
}

// left returns the temporary files below the home, whoever left them.
func (h home) left() []string {
	var found []string
	err := filepath.WalkDir(h.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(h.dir, p)
		dir, base := filepath.Split(rel)
		switch {
		case e.IsDir() && base == "data": // looked into below
		case strings.HasPrefix(base, ".") && base != "." && base != ".keep",
			dir == "tmp/" && base != ".keep",
			strings.HasSuffix(dir, "evidence/tmp/"), strings.HasPrefix(base, "tmp-"):
			found = append(found, rel)
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return found
}

// age makes everything below the home a few days old, which for the sweepers of
// temporary files means that nobody is at work on it.
func (h home) age() {
	h.Helper()
	old := noon.AddDate(0, 0, -9)
	err := filepath.WalkDir(h.dir, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Chtimes(p, old, old)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
}

// TestKilled kills the program at moments spread over all that it does. After
// each, everything works: what is there is the old or the new, never something
// between.
func TestKilled(t *testing.T) {
	h := newHome(t)
	const old, both = "CVE-2026-1", "CVE-2026-1 CVE-2026-2"
	h.image("big.tar", 4, 400)
	h.image("cart.tar", 1, 1)
	h.advisory("old", "CVE-2026-1", "openssl")
	h.advisory("new", "CVE-2026-1", "openssl")
	h.advisory("new", "CVE-2026-2", "openssl")
	for i := range 300 {
		h.advisory("new", fmt.Sprintf("CVE-2025-%d", i), fmt.Sprintf("other%d", i))
	}
	h.must(0, "db", "import", "--as-of", "2026-11-23", "old")
	h.must(0, "rules", "check")

	acts := []struct {
		name   string
		args   []string
		before func()
		check  func(t testing.TB)
	}{
		{"check", []string{"check", "big.tar", "--env", "prod"}, func() { _ = os.RemoveAll(h.path("data/evidence")) }, func(t testing.TB) {
			if got := h.holes(1, "big.tar", "--env", "prod"); got != old {
				t.Errorf("holes %q, want %q", got, old)
			}
		}},
		{"import", []string{"db", "import", "--replace", "--as-of", "2026-11-23", "new"}, func() { h.must(0, "db", "import", "--replace", "--as-of", "2026-11-23", "old") }, func(t testing.TB) {
			if got := h.holes(1, "cart.tar", "--env", "prod"); got != old && got != both {
				t.Errorf("holes %q, want %q or %q", got, old, both)
			}
		}},
		{"golden", []string{"golden", "add", "cart.tar", "--owner", "team-base", "--expires", "90d"}, func() { _ = os.Remove(h.path("data/golden.json")) }, func(t testing.TB) { h.must(0, "golden", "list") }},
		{"baseline", []string{"baseline", "--env", "prod", "--until", "2026-12-20", "--owner", "o", "--write", "big.tar", "--as", "registry.example/big"}, func() { _ = os.Remove(h.path("touchstone-waivers.yaml")) }, func(t testing.TB) {
			if code, out, errs := h.run("check", "big.tar", "--as", "registry.example/big", "--env", "prod"); code != 0 && code != 1 {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		}},
	}
	seeded := rand.New(rand.NewPCG(1, 2))
	for _, act := range acts {
		act.before()
		start := time.Now()
		h.run(act.args...)
		takes := time.Since(start)
		const kills = 10
		for range kills {
			act.before()
			h.killed(time.Duration(seeded.Float64()*float64(takes)), act.args...)
			act.check(t)
		}
		act.before()
		if code, out, errs := h.run(act.args...); code == ExitUndecided || code == exitUsage {
			t.Errorf("%s after all: exit code %d\n%s%s", act.name, code, out, errs)
		}
	}
	_ = os.Remove(h.path("touchstone-waivers.yaml"))
	h.age()
	h.must(0, "db", "import", "--as-of", "2026-11-23", "new") // each sweeps what is its own
	h.must(1, "check", "big.tar", "--env", "prod")
	if left := h.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestTwoAtOnce starts several processes on a data folder that is not there yet. They
// go by the machine's clock, as the files do that they make: by another one the
// temporary files of the others look as if nobody used them any more.
func TestTwoAtOnce(t *testing.T) {
	h := newHome(t)
	h.image("big.tar", 2, 100)
	h.advisory("new", "CVE-2026-1", "openssl")
	t.Setenv("REALCLOCK", "1")
	today := time.Now().UTC().Format(time.DateOnly)
	h.must(0, "db", "import", "--as-of", today, "new")
	if err := os.RemoveAll(h.path("data/evidence")); err != nil {
		t.Fatal(err)
	}
	var running []*exec.Cmd
	var said [6]console
	for i := range said {
		c := h.command("check", "big.tar", "--env", "prod")
		if i%3 == 2 {
			c = h.command("db", "import", "--as-of", today, "new")
		}
		c.Stdout, c.Stderr = &said[i], &said[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, c)
	}
	for i, c := range running {
		_ = c.Wait() // its exit code is looked at
		if code, want := c.ProcessState.ExitCode(), map[bool]int{true: 0, false: 1}[i%3 == 2]; code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", strings.Join(c.Args, " "), code, want, said[i].String())
		}
	}
	if left := h.left(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
