package inspect

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/manifest"
)

// listing returns the manifest of the evidence as lines "kind path".
func listing(tb testing.TB, in *Inspector, e *touchstone.Evidence) []string {
	tb.Helper()
	m, err := in.Manifest(e)
	if err != nil {
		tb.Fatal(err)
	}
	defer m.Close()
	r, err := manifest.Open(m.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for f, err := range r.All() {
		if err != nil {
			tb.Fatal(err)
		}
		line := string(f.Kind) + " " + f.Path
		switch {
		case f.Link != "":
			line += " -> " + f.Link
		case f.Kind == touchstone.FileRegular:
			line += " " + f.SHA256.Short()[:4]
		}
		out = append(out, line)
	}
	return out
}

func short(content string) string { return sum([]byte(content)).Short()[:4] }

func TestSquash(t *testing.T) {
	a, b := short("a"), short("b")
	tests := []struct {
		name   string
		layers [][]file
		want   []string
		gaps   []touchstone.GapKind
	}{
		{"one layer, sorted by component", [][]file{{{name: "./b", content: "b"}, {name: "a-b", content: "a"}, {name: "/a/", kind: tar.TypeDir}, {name: "a/x", content: "a"}}},
			[]string{"dir a", "file a/x " + a, "file a-b " + a, "file b " + b}, nil},
		{"whiteout of a file and of a folder", [][]file{
			{{name: "d/"}, {name: "d/x", content: "a"}, {name: "e", content: "a"}, {name: "f", content: "a"}},
			{{name: ".wh.d"}, {name: ".wh.e"}}},
			[]string{"file f " + a}, nil},
		{"whiteout and again, in one layer", [][]file{
			{{name: "d/"}, {name: "d/x", content: "a"}},
			{{name: "d/"}, {name: "d/y", content: "b"}, {name: ".wh.d"}}},
			[]string{"dir d", "file d/y " + b}, nil},
		{"opaque folder", [][]file{
			{{name: "d/"}, {name: "d/x", content: "a"}, {name: "d/s/"}, {name: "d/s/t", content: "a"}, {name: "d-", content: "a"}},
			{{name: "d/"}, {name: "d/.wh..wh..opq"}, {name: "d/y", content: "b"}}},
			[]string{"dir d", "file d/y " + b, "file d- " + a}, nil},
		{"opaque root", [][]file{{{name: "x", content: "a"}}, {{name: ".wh..wh..opq"}, {name: "y", content: "b"}}},
			[]string{"file y " + b}, nil},
		{"a file replaces a folder", [][]file{{{name: "d/"}, {name: "d/x", content: "a"}}, {{name: "d", content: "b"}}},
			[]string{"file d " + b}, nil},
		{"and a folder the file", [][]file{{{name: "d/"}, {name: "d/x", content: "a"}}, {{name: "d", content: "b"}}, {{name: "d/"}, {name: "d/y", content: "a"}}},
			[]string{"dir d", "file d/y " + a}, nil},
		{"whiteouts of AUFS itself are no files", [][]file{{{name: ".wh..wh.plnk/"}, {name: "x", content: "a"}}},
			[]string{"file x " + a}, nil},
		{"hard links", [][]file{
			{{name: "t", content: "a"}},
			{{name: "l", link: "t", hard: true}, {name: "m", link: "l", hard: true}, {name: "n", link: "m", hard: true}}},
			[]string{"file l " + a, "file m " + a, "file n " + a, "file t " + a}, nil},
		{"a hard link outlives its target", [][]file{{{name: "t", content: "a"}, {name: "l", link: "./t", hard: true}}, {{name: ".wh.t"}}},
			[]string{"file l " + a}, nil},
		{"a hard link to nothing, and a cycle", [][]file{{{name: "t", content: "a"}}, {{name: ".wh.t"}}, {{name: "l", link: "t", hard: true}, {name: "c", link: "d", hard: true}, {name: "d", link: "c", hard: true}}},
			nil, []touchstone.GapKind{"corrupt", "corrupt", "corrupt"}},
		{"below a folder that is a link", [][]file{
			{{name: "lib", link: "usr/lib"}, {name: "usr/lib/x", content: "a"}, {name: "usr/lib/z", content: "a"}},
			{{name: "lib/x", content: "b"}, {name: "lib/y", content: "b"}, {name: "lib/.wh.z"}}},
			[]string{"symlink lib -> usr/lib", "file usr/lib/x " + b, "file usr/lib/y " + b}, nil},
		{"below two links", [][]file{
			{{name: "a", link: "b"}, {name: "b", link: "/c"}, {name: "c/x", content: "a"}},
			{{name: "a/x", content: "b"}}},
			[]string{"symlink a -> b", "symlink b -> /c", "file c/x " + b}, nil},
		{"below a link that a folder replaces", [][]file{
			{{name: "lib", link: "usr/lib"}, {name: "usr/lib/x", content: "a"}},
			{{name: "lib/"}, {name: "lib/x", content: "b"}}},
			[]string{"dir lib", "file lib/x " + b, "file usr/lib/x " + a}, nil},
		{"below a link to itself", [][]file{{{name: "a", link: "a/b"}, {name: "a/x", content: "a"}}},
			[]string{"symlink a -> a/b", "file a/x " + a}, nil},
		{"names that lead out", [][]file{{{name: "../../etc/passwd", content: "a"}, {name: "a/../b", content: "b"}, {name: "l", link: "../../../x"}}},
			[]string{"file b " + b, "file etc/passwd " + a, "symlink l -> ../../../x"}, []touchstone.GapKind{"corrupt"}},
		{"the last of two counts", [][]file{{{name: "x", content: "a"}, {name: "x", content: "b"}, {name: "d/"}, {name: "d/"}}},
			[]string{"dir d", "file x " + b}, []touchstone.GapKind{"corrupt"}},
		{"overlong names", [][]file{{{name: strings.Repeat("n", 256), content: "a"}, {name: strings.Repeat("d/", 2100) + "x", content: "a"}, {name: "x", content: "a"}}},
			[]string{"file x " + a}, []touchstone.GapKind{"limit", "limit"}},
		{"bytes that are no UTF-8", [][]file{{{name: "\xff\xfe", content: "a"}}},
			[]string{"file \xff\xfe " + a}, nil},
		{"pipes and devices", [][]file{{{name: "p", kind: tar.TypeFifo}, {name: "c", kind: tar.TypeChar}}},
			[]string{"device c", "fifo p"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var layers [][]byte
			for _, files := range test.layers {
				layers = append(layers, makeTar(t, files...))
			}
			in := newInspector(t, Config{})
			e := inspect(t, in, makeImage(t, layers...))
			if diff := cmp.Diff(test.want, listing(t, in, e)); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			var kinds []touchstone.GapKind
			for _, g := range e.Gaps {
				kinds = append(kinds, g.Kind)
			}
			if diff := cmp.Diff(test.gaps, kinds); diff != "" {
				t.Errorf("gaps %v (-want +got):\n%s", e.Gaps, diff)
			}
			if e.Manifest.Files != len(test.want) {
				t.Errorf("summary says %d files, want %d", e.Manifest.Files, len(test.want))
			}
		})
	}
}

func TestWhatIsStored(t *testing.T) {
	plain := makeTar(t, file{name: "x", content: strings.Repeat("a", 10000)}, file{name: "y", content: "b"})
	other := makeTar(t, file{name: "x", content: "other"})
	packed := gzipped(t, plain)
	half := len(plain) / 2
	tests := []struct {
		name   string
		stored []byte
		change func(*artifact.Layer)
		want   []touchstone.GapKind
		files  int
	}{
		{"plain", plain, nil, nil, 2},
		{"gzip", packed, nil, nil, 2},
		{"zstd", zstded(t, plain), nil, nil, 2},
		{"two gzip members", append(gzipped(t, plain[:half]), gzipped(t, plain[half:])...), nil, nil, 2},
		{"two zstd frames", append(zstded(t, plain[:half]), zstded(t, plain[half:])...), nil, nil, 2},
		{"size unknown", packed, func(l *artifact.Layer) { l.Size = -1 }, nil, 2},
		{"nothing claimed", packed, func(l *artifact.Layer) { l.Digest = "" }, nil, 2},
		{"garbage after gzip", append(bytes.Clone(packed), "garbage"...), nil, []touchstone.GapKind{"corrupt"}, 2},
		{"garbage after zstd", append(zstded(t, plain), "garbage"...), nil, []touchstone.GapKind{"corrupt"}, 2},
		{"truncated gzip", packed[:len(packed)-20], nil, []touchstone.GapKind{"corrupt"}, 1},
		{"truncated in transit", packed[:len(packed)-20], func(l *artifact.Layer) { l.Size = int64(len(packed)); l.Digest = sum(packed) }, []touchstone.GapKind{"corrupt", "false"}, 1},
		{"another layer", gzipped(t, other), func(l *artifact.Layer) { l.DiffID = sum(plain) }, []touchstone.GapKind{"false"}, 1},
		{"other bytes", packed, func(l *artifact.Layer) { l.Digest = sum(other) }, []touchstone.GapKind{"false"}, 2},
		{"longer than claimed", packed, func(l *artifact.Layer) { l.Size -= 3 }, []touchstone.GapKind{"corrupt", "false"}, 2},
		{"xz", []byte("\xfd7zXZ\x00 and so on"), nil, []touchstone.GapKind{"unsupported"}, 0},
		{"not a tar", bytes.Repeat([]byte("garbage "), 1000), func(l *artifact.Layer) { l.DiffID = l.Digest }, []touchstone.GapKind{"corrupt"}, 0},
		{"empty", []byte{}, func(l *artifact.Layer) { l.DiffID = l.Digest }, nil, 0},
		{"truncated tar", plain[:800], func(l *artifact.Layer) { l.DiffID = l.Digest }, []touchstone.GapKind{"corrupt"}, 0},
		{"bytes after the tar", append(bytes.Clone(plain), other...), func(l *artifact.Layer) { l.DiffID = l.Digest }, []touchstone.GapKind{"corrupt"}, 2},
		{"absent", nil, func(l *artifact.Layer) { l.Absent = "a foreign layer" }, []touchstone.GapKind{"absent"}, 0},
		{"an error that says it lies", nil, func(l *artifact.Layer) {
			l.Open = func(context.Context) (io.ReadCloser, error) { return nil, artifact.Falsef("no such bytes") }
		}, []touchstone.GapKind{"false"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &source{}
			l := s.add(test.stored, plain)
			if test.change != nil {
				test.change(l)
			}
			store := newStore(t)
			in := newInspector(t, Config{Store: store})
			e := inspect(t, in, s.configured(t))
			var kinds []touchstone.GapKind
			for _, g := range e.Gaps {
				kinds = append(kinds, g.Kind)
			}
			if diff := cmp.Diff(test.want, kinds, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("gaps %v (-want +got):\n%s", e.Gaps, diff)
			}
			if e.Manifest.Files != test.files {
				t.Errorf("%d files, want %d", e.Manifest.Files, test.files)
			}
			again := inspect(t, in, s)
			if diff := cmp.Diff(e, again); diff != "" {
				t.Errorf("found again, it differs (-first +again):\n%s", diff)
			}
		})
	}
}

func TestConfigThatLies(t *testing.T) {
	a, b := makeTar(t, file{name: "a", content: "a"}), makeTar(t, file{name: "b", content: "b"})
	s := makeImage(t, a, b)
	s.layers = s.layers[:1]
	e := inspect(t, newInspector(t, Config{}), s)
	if len(e.Gaps) != 1 || e.Gaps[0].Kind != touchstone.GapFalse {
		t.Errorf("gaps %v, want one that is false", e.Gaps)
	}
}

func TestFaultOutsideIsAnError(t *testing.T) {
	for _, fault := range []error{artifact.Outsidef("the network is down"), context.Canceled} {
		s := makeImage(t, makeTar(t, file{name: "a", content: "a"}))
		s.layers[0].Open = func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("\x1f\x8b\x08"), failing{fault})), nil
		}
		_, _, err := newInspector(t, Config{}).Inspect(t.Context(), s)
		if !errors.Is(err, fault) {
			t.Errorf("got %v, want %v", err, fault)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestLimits(t *testing.T) {
	zeros := make([]byte, 1<<20)
	var bomb bytes.Buffer
	w := tar.NewWriter(&bomb)
	for _, name := range []string{"a", "b", "c"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(zeros)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		limits Limits
	}{
		{"bytes", Limits{LayerBytes: 2 << 20}},
		{"entries", Limits{Entries: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := inspect(t, newInspector(t, Config{Limits: test.limits}), makeImage(t, bomb.Bytes()))
			if len(e.Gaps) != 1 || e.Gaps[0].Kind != touchstone.GapLimit {
				t.Errorf("gaps %v, want one of kind limit", e.Gaps)
			}
		})
	}
}

func TestKnown(t *testing.T) {
	base, app := makeTar(t, file{name: "base", content: "a"}), makeTar(t, file{name: "app", content: "b"})
	in := newInspector(t, Config{Store: newStore(t)})
	first := makeImage(t, base, app)
	want := inspect(t, in, first)
	if first.opened.Load() != 2 {
		t.Fatalf("%d layers opened, want 2", first.opened.Load())
	}

	again := makeImage(t, base, app)
	if diff := cmp.Diff(want, inspect(t, in, again)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	if again.opened.Load() != 0 {
		t.Errorf("a known image: %d layers opened, want none", again.opened.Load())
	}

	next := makeImage(t, base, makeTar(t, file{name: "app", content: "new"}))
	inspect(t, in, next)
	if next.opened.Load() != 1 {
		t.Errorf("a new layer on a known one: %d layers opened, want 1", next.opened.Load())
	}

	// The same image in a local file: its digests are not trusted, but one
	// hash is enough to recognise them.
	local := makeImage(t, base, app)
	local.artifact.Source = "image.tar"
	local.layers[0].Stamp, local.layers[1].Stamp = "stamp 1", "stamp 2"
	inspect(t, in, local)
	if local.opened.Load() != 2 {
		t.Errorf("a local copy: %d layers opened, want 2", local.opened.Load())
	}
	local.opened.Store(0)
	inspect(t, in, local)
	if local.opened.Load() != 0 {
		t.Errorf("a local copy again: %d layers opened, want none", local.opened.Load())
	}

	// A manifest that gives a known digest another diff ID lies.
	liar := makeImage(t, base, app)
	liar.layers[1].Digest = liar.layers[0].Digest
	if e := inspect(t, in, liar); len(e.Gaps) == 0 || e.Gaps[0].Kind != touchstone.GapFalse {
		t.Errorf("gaps %v, want one that is false", e.Gaps)
	}
}

func TestRootfs(t *testing.T) {
	plain := makeTar(t, file{name: "x", content: "a"}, file{name: ".wh.y", content: "b"})
	in := newInspector(t, Config{Store: newStore(t)})
	s := makeRootfs(t, plain)
	for range 2 {
		e, a, err := in.Inspect(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if a.Digest != sum(plain) {
			t.Errorf("digest %s, want that of the plain tar", a.Digest)
		}
		if e.Manifest.Files != 2 {
			t.Errorf("%d files, want 2: there are no whiteouts in a root file system", e.Manifest.Files)
		}
	}
	if s.opened.Load() != 1 {
		t.Errorf("opened %d times, want once", s.opened.Load())
	}
}

func TestConfiguration(t *testing.T) {
	e := inspect(t, newInspector(t, Config{}), makeImage(t, makeTar(t, file{name: "x", content: "a"})))
	if got := e.Layers[0].CreatedBy; got != "COPY layer 0" {
		t.Errorf("layer 0 was created by %q", got)
	}
	if e.Platform != "linux/arm64/v8" || e.Created.Year() != 2026 || e.Configuration.User != "app" {
		t.Errorf("got %s, %s, user %q", e.Platform, e.Created, e.Configuration.User)
	}
	if diff := cmp.Diff([]string{"80/tcp"}, e.Configuration.Ports); diff != "" {
		t.Error(diff)
	}
}
