package packages

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func TestJava(t *testing.T) {
	inner := zipOf(t, "META-INF/maven/org.slf4j/slf4j-api/pom.properties", "groupId=org.slf4j\nartifactId=slf4j-api\nversion=1.7.36\n")
	named := zipOf(t, "x/Y.class", "\xca\xfe\xba\xbe")
	war := zipOf(t,
		"WEB-INF/lib/slf4j.jar", inner,
		"WEB-INF/lib/commons-io-2.11.0.jar", named,
		"WEB-INF/lib/broken.jar", "not an archive",
		"WEB-INF/lib/app.jar", zipOf(t, "a/B.class", ""),
	)
	got := readTree(t, treeOf(map[string]string{"srv/shop.war": war, "srv/Executable.jar": "#!/bin/sh\nexit\n" + inner, "srv/Empty.jar": ""}))
	if diff := cmp.Diff([]string{"commons-io:commons-io 2.11.0", "org.slf4j:slf4j-api 1.7.36", "org.slf4j:slf4j-api 1.7.36"}, got.names()); diff != "" {
		t.Error(diff)
	}
	for _, p := range got.Packages {
		if p.Ecosystem != "Maven" || !strings.HasPrefix(p.PURL, "pkg:maven/") || p.Path != "srv/shop.war" && p.Path != "srv/Executable.jar" {
			t.Errorf("%+v", p)
		}
	}
	if len(got.Gaps) != 1 || got.Gaps[0].Path != "srv/shop.war" || !strings.Contains(got.Gaps[0].Reason, "WEB-INF/lib/broken.jar") {
		t.Errorf("%+v", got.Gaps)
	}
}

func TestJavaBombs(t *testing.T) {
	deep := zipOf(t, "a", "b")
	for range 20 {
		deep = zipOf(t, "in.jar", deep)
	}
	zeros := strings.Repeat("\x00", 20<<20)
	for name, test := range map[string]struct {
		content string
		config  Config
	}{
		"a jar in a jar forever":           {deep, Config{}},
		"a manifest that unpacks to a lot": {zipOf(t, "META-INF/MANIFEST.MF", zeros, "pom.properties", zeros), Config{}},
		"one that unpacks to a lot":        {zipOf(t, "a.jar", zeros, "b.jar", zeros), Config{MaxArchive: 30 << 20}},
	} {
		before, _ := filepath.Glob(filepath.Join(os.TempDir(), "archive-*"))
		r := New(test.config)
		got := r.Read(t.Context(), Input{Path: "x.jar", Content: bytes.NewReader([]byte(test.content)), Size: int64(len(test.content))})
		limits := 0
		for _, g := range got.Gaps {
			if g.Kind == touchstone.GapLimit {
				limits++
			}
		}
		if limits != 1 {
			t.Errorf("%s: %+v", name, got.Gaps)
		}
		after, _ := filepath.Glob(filepath.Join(os.TempDir(), "archive-*"))
		if len(after) > len(before) {
			t.Errorf("%s: left %q behind", name, after)
		}
	}
}

func TestArchiveWithAnAbsurdDirectory(t *testing.T) {
	// The record at the end claims no entries, yet the directory is long.
	content := append(bytes.Repeat([]byte("PK\x01\x02"+strings.Repeat("\x00", 42)), maxDirectory/46+1), "PK\x05\x06"+strings.Repeat("\x00", 18)...)
	got := readOne(t, "x.jar", content)
	if len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("%+v", got.Gaps)
	}
}
