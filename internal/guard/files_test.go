package guard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

const someRules = `version: 1
environments: [dev, prod]
rules:
  run-unknown: {dev: allow, prod: kill}
  login: {dev: allow, prod: block}
`

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	f := &Files{Rules: filepath.Join(dir, "rules.yaml"), Waivers: filepath.Join(dir, "waivers.yaml"), Every: time.Millisecond, Now: func() time.Time { return moment }}
	write(t, f.Rules, someRules, 0o600)
	first, err := f.Ground(t.Context(), nil)
	if err != nil || len(first.Waivers) != 0 {
		t.Fatalf("%v, %v", first, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Ground(short, first); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nothing has changed, and it was told: %v", err)
	}
	write(t, f.Waivers, "- {rule: run-unknown, package: tmp/x, owner: shop, reason: \"a tool of last year\", until: 2026-12-20}\n", 0o600)
	second, err := f.Ground(t.Context(), first)
	if err != nil || len(second.Waivers) != 1 {
		t.Fatalf("with a waiver: %+v, %v", second, err)
	}
	write(t, f.Rules, strings.Replace(someRules, "kill", "klil", 1), 0o600)
	if _, err := f.Ground(t.Context(), second); err == nil || !strings.Contains(err.Error(), "klil") {
		t.Fatalf("wrong rules were taken: %v", err)
	}
	write(t, f.Rules, someRules+"  change: {others: alert}\n", 0o600)
	third, err := f.Ground(t.Context(), second)
	if err != nil || third.Rules.Row("change") == nil {
		t.Fatalf("mended: %v, %v", third, err)
	}
}

func TestGroundFindsThePlaceOfAContainer(t *testing.T) {
	f := &Files{Rules: filepath.Join(t.TempDir(), "rules.yaml"), Now: func() time.Time { return moment }}
	write(t, f.Rules, someRules+"places:\n  - {namespace: lab-*, environment: dev}\n", 0o600)
	g, err := f.Ground(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told := touchstone.Place{Environment: "dev", Owner: "research"}
	g.Pods = map[string]Pod{"uid": {Place: told}}
	for _, c := range []struct{ namespace, uid, environment, owner string }{
		{"shop", "", "prod", ""}, {"lab-1", "", "dev", ""}, {"shop", "uid", "dev", "research"}, {"", "other", "prod", ""},
	} {
		if p, _ := g.place(c.namespace, c.uid, "node"); p.Environment != c.environment || p.Owner != c.owner {
			t.Errorf("namespace %q, pod %q: %+v", c.namespace, c.uid, p)
		}
	}
}

func TestExecutableMapping(t *testing.T) {
	for line, want := range map[string]string{
		"7f12a000-7f12c000 r-xp 00000000 08:02 173521  /usr/lib/libc.so":   "7f12a000-7f12c000 false",
		"7f12a000-7f12c000 r-xs 00000000 00:01 1027  /memfd:jit (deleted)": "7f12a000-7f12c000 true",
		"7f12a000-7f12c000 r--p 00000000 08:02 173521  /usr/lib/libc.so":   "",
		"7ffd1000-7ffd3000 r-xp 00000000 00:00 0  [vdso]":                  "",
		"7f12a000-7f12c000 rwxp 00000000 00:00 0":                          "",
		"":      "",
		"x y z": "",
	} {
		span, shared, _, ok := executableMapping(line)
		got := ""
		if ok {
			got = span + " " + map[bool]string{true: "true", false: "false"}[shared]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestProcessesAreReadAsTheyAre(t *testing.T) {
	p := readProcess(os.Getpid())
	if p == nil || p.Parent != os.Getppid() || p.UID != os.Getuid() || len(p.Command) == 0 || time.Since(p.Started) > time.Hour || p.Started.After(time.Now().Add(time.Second)) {
		t.Errorf("this process: %+v", p)
	}
	if p := readProcess(1 << 30); p != nil {
		t.Errorf("a process that is none: %+v", p)
	}
	if err := killProcess(nil); err != nil {
		t.Error(err)
	}
	if err := killProcess(&touchstone.Process{PID: os.Getpid()}); err == nil {
		t.Error("the guard would end itself")
	}
	if err := killProcess(&touchstone.Process{PID: 1}); err == nil {
		t.Error("it would end the first process of the machine")
	}
}
