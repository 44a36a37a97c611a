package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"touchstone.dev/touchstone"
)

// fill puts s into every string that v holds, and one element into each list,
// so that no field is forgotten.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), s)
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(reflect.ValueOf(s), reflect.ValueOf(s))
		v.Set(m)
	case reflect.Int, reflect.Int64:
		v.SetInt(1 << 20)
	}
}

// filled are checks in which every string is s, and those with known words where
// the formats look for them.
func filled(s string) []*touchstone.Check {
	all, some := refused(), road()
	fill(reflect.ValueOf(all).Elem(), s)
	all.Road = nil
	for i := range some.Road {
		for j := range some.Road[i].Reasons {
			r := &some.Road[i].Reasons[j]
			r.Rule, r.Seen, r.Allowed, r.Because, r.Fix, r.Owner, r.Failing = s, s, s, s, s, s, []string{s, "CVE-2021-3711"}
		}
	}
	for i := range some.Matches {
		fill(reflect.ValueOf(&some.Matches[i].Package).Elem(), s)
		some.Matches[i].Summary, some.Matches[i].FixedVersions = s, []string{s}
	}
	bare := *all
	bare.Decision = nil
	return []*touchstone.Check{all, some, &bare}
}

// heldAgainst reports what the document lets through that its reader would obey.
func heldAgainst(t *testing.T, format, doc string) {
	t.Helper()
	if !utf8.ValidString(doc) {
		t.Errorf("%s: not UTF-8", format)
	}
	for _, r := range doc {
		if r != '\n' && hidden(r) {
			t.Fatalf("%s: lets %U through in %q", format, r, doc)
		}
	}
	if strings.Contains(doc, "##[") || strings.Contains(doc, "##vso[") {
		t.Errorf("%s: holds a command of a build system", format)
	}
	command := regexp.MustCompile(`^::(error|warning|notice) title=[^:]*::|^::group::touchstone$|^::endgroup::$`)
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "::") && (format != "github" || !command.MatchString(line)) {
			t.Errorf("%s: a line is a workflow command: %q", format, line)
		}
	}
	switch format {
	case "json", "sarif", "cyclonedx", "spdx", "openvex":
		if !json.Valid([]byte(doc)) {
			t.Errorf("%s: not JSON", format)
		}
	case "junit":
		d := xml.NewDecoder(strings.NewReader(doc))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("junit: %v", err)
			}
		}
	case "markdown":
		harmlessMarkdown(t, doc)
	}
}

// harmlessMarkdown looks at what is left of the document when its code spans are
// taken out: there must be no markup in it but its own.
func harmlessMarkdown(t *testing.T, doc string) {
	t.Helper()
	own := strings.NewReplacer("<details><summary>", "", "</summary>", "", "</details>", "", "<br>", "", "<sub>", "", "</sub>", "", "| ! warn |", "|")
	spans := regexp.MustCompile("`[^`\n]*`")
	for line := range strings.Lines(doc) {
		if n := strings.Count(line, "`"); n%2 != 0 {
			t.Errorf("markdown: a code span is left open: %q", line)
		}
		rest := own.Replace(spans.ReplaceAllString(line, ""))
		if strings.ContainsAny(rest, "<>@[]!`\\&_") {
			t.Errorf("markdown: markup in %q", rest)
		}
		if strings.HasPrefix(line, "|") {
			// GFM counts cells before it looks at code spans.
			if n := strings.Count(regexp.MustCompile(`\\[\\|]`).ReplaceAllString(line, ""), "|"); n < 3 || n > 8 {
				t.Errorf("markdown: %d pipes in %q", n, line)
			}
		}
	}
}

// everywhere renders everything with s in every place.
func everywhere(t *testing.T, s string) {
	t.Helper()
	for _, c := range filled(s) {
		for _, format := range Formats() {
			for _, o := range []Options{{Dockerfile: s, Now: now}, {Width: 60, ASCII: true, Verbose: true, Author: s}} {
				var b bytes.Buffer
				if err := Write(&b, format, c, o); err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				heldAgainst(t, format, b.String())
			}
		}
	}
	d := changed()
	fill(reflect.ValueOf(d).Elem(), s)
	for _, format := range DiffFormats() {
		var b bytes.Buffer
		if err := WriteDiff(&b, format, d, Options{}); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		heldAgainst(t, format, b.String())
	}
}

// attacks are what strangers are known to try.
var attacks = []string{
	hostile, "", "\x00", "\x1b]0;title\x07", "\u009b31m", "\u202e\u2066\u2069", "\u200b\u200d\ufeff\u00ad", "\xff\xfe\x80", "a\u0300\u0301\u0302\u0303\u0304\u0305",
	"::error::x", "  ::set-output name=x::y", "%0A::error::x", "##vso[task.setvariable]x", "###[x", "#", "##",
	"a|b\\|c\\", "`", "``", "`a", "\\`", "[x](http://evil.example)", "![x](y)", "<img src=x onerror=y>", "@all", "http://evil.example", "www.evil.example",
	"</details>", "-->", "]]>", "&lt;", "*a* _b_ ~c~", "# h", "- x", "1. x", "/close", "\u3164\u115f", "{0}", "[a](1)", "../../../etc/passwd", "file:///etc/passwd",
	"CVE-2021-3711", "日本語の名前", strings.Repeat("x", 5000), strings.Repeat("\u0300", 50), strings.Repeat("| ", 300), "refuse", "\U000e0041", "\u2028\u2029",
}

func TestNothingHostileGetsThrough(t *testing.T) {
	for _, s := range attacks {
		everywhere(t, s)
	}
}

func FuzzEverything(f *testing.F) {
	for _, s := range attacks[:3] {
		f.Add(s)
	}
	f.Fuzz(everywhere)
}

func FuzzVisible(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := visible(s)
		heldAgainst(t, "visible", harmless(v))
		if visible(v) != v {
			t.Errorf("visible(%q) = %q, and then %q", s, v, visible(v))
		}
		for _, line := range wrap(v, 20) {
			if shown(line) > 20 {
				t.Errorf("%q is wider than 20 columns", line)
			}
		}
	})
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		harmlessMarkdown(t, "| "+mdText(s)+" | "+mdCode(s)+" |\n")
		if strings.Contains(mdText(s)+mdCode(s), "\n") {
			t.Errorf("a raw newline in %q", mdText(s))
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range attacks {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, title, text string) {
		var b bytes.Buffer
		command(&b, "error", title, ",file="+commandProperty(visible(title)), []string{text})
		if n := strings.Count(b.String(), "\n"); n != 1 {
			t.Errorf("%d lines", n)
		}
		if rest := strings.TrimPrefix(b.String(), "::error title="); strings.Contains(strings.SplitN(rest, "::", 2)[0], ":") {
			t.Errorf("a colon in the properties of %q", b.String())
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range attacks {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		if err := encode(&b, s); err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && back != want {
			t.Errorf("%q came back as %q", want, back)
		}
		heldAgainst(t, "json", b.String())
	})
}

func FuzzLicence(f *testing.F) {
	for _, s := range []string{"MIT", "(MIT OR Apache-2.0) AND GPL-2.0+", "GPL-2.0-only WITH Classpath-exception-2.0", "((((", "mit", "MIT AND", ") ("} {
		f.Add(s)
	}
	known := knownLicences()
	f.Fuzz(func(t *testing.T, s string) {
		e, ok := known.expression(s)
		if !ok {
			return
		}
		if again, ok := known.expression(e); !ok || again != e {
			t.Errorf("%q became %q and then %q", s, e, again)
		}
	})
}

func TestRelativeURI(t *testing.T) {
	for in, want := range map[string]string{
		"usr/bin/a": "usr/bin/a", "../../etc/passwd": "etc/passwd", "/a//b/./c": "a/b/c", "a b": "a%20b", "a:b": "a%3Ab", "é": "%C3%A9", "": "", "\x1b": "%1B",
	} {
		if got := relativeURI(in); got != want {
			t.Errorf("relativeURI(%q) = %q, want %q", in, got, want)
		}
	}
}
