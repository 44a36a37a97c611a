package touchstone

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatchPath(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/data", "data", true},
		{"/data", "/data/a/b", true},
		{"data/", "data/a", true},
		{"/data", "database", false},
		{"/data", "var/data", false},
		{"/data/**", "data/a/b", true},
		{"/data/**", "data", true},
		{"/var/*/log", "var/app/log/x", true},
		{"/var/*/log", "var/log", false},
		{"/var/*/log", "var/a/b/log", false},
		{"/var/**/log", "var/log", true},
		{"/var/**/log", "var/a/b/log/c", true},
		{"/var/**/log/*.txt", "var/log/log/a.txt", true},
		{"/var/**/log/*.txt", "var/log/a.log", false},
		{"/**/x/**/y", "a/x/b/x/c/y", true},
		{"/**/x/**/y", "a/x/b/c", false},
		{"/tmp/*.py[c]", "tmp/a.pyc", false},
		{"/tmp/*.py[c]", "tmp/a.py[c]", true},
		{"/tmp/a*b*c", "tmp/a-b-b-c", true},
		{"/tmp/a*b*c", "tmp/a-b-b", false},
		{"/tmp/a*b", "tmp/a/b", false},
		{"/tmp/***", "tmp/a", true},
		{"/**", "anything/at/all", true},
		{"", "data", false},
		{"/", "data", false},
		{"/data", "", false},
		{"/data", "data/../etc/passwd", false},
		{"/**", "srv/../../etc", false},
		{"/data", "data/..a", true},
	}
	for _, test := range tests {
		if got := MatchPath(test.pattern, test.path); got != test.want {
			t.Errorf("%q covers %q: %v", test.pattern, test.path, got)
		}
	}
}

// What MatchPath says is what the expression says that its pattern stands for.
func TestMatchPathIsItsExpression(t *testing.T) {
	part := rapid.StringMatching(`[ab]{0,2}\*?[ab]{1,2}\*?|\*\*?`)
	name := rapid.StringMatching(`[abc]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(part, 1, 5).Draw(t, "pattern")
		path := strings.Join(rapid.SliceOfN(name, 1, 7).Draw(t, "path"), "/")
		text := "^"
		for _, p := range parts {
			if p == "**" {
				text += "(?:[^/]+/)*"
				continue
			}
			text += strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, "[^/]*") + "/"
		}
		if got, want := MatchPath(strings.Join(parts, "/"), path), regexp.MustCompile(text).MatchString(path+"/"); got != want {
			t.Fatalf("%v covers %s: %v, want %v", parts, path, got, want)
		}
	})
}

// A stranger chooses the path; the time it takes stays small.
func BenchmarkMatchPath(b *testing.B) {
	path := strings.Repeat("a/", 2000) + "b"
	for b.Loop() {
		MatchPath("/**/a/**/a*a*a/**/c", path)
	}
}
