package drift

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone/internal/manifest"
)

// drawRecord draws what is remembered of one path.
func drawRecord(t *rapid.T, path string) record {
	r := record{path: []byte(path), verdict: rapid.SampledFrom([]verdict{fine, there, missing}).Draw(t, "verdict"), settled: rapid.Bool().Draw(t, "settled")}
	if r.verdict != missing && rapid.Bool().Draw(t, "stamped") {
		r.stamp = stamp(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "stamp"))
	}
	if r.verdict != there {
		return r
	}
	r.have = manifest.Entry{
		Kind: manifest.Kind(rapid.IntRange(0, 4).Draw(t, "kind")), Exec: manifest.Exec(rapid.IntRange(0, 3).Draw(t, "exec")),
		Mode: rapid.Uint32Range(0, 0o7777).Draw(t, "mode"), UID: rapid.IntRange(-1, 1<<32-1).Draw(t, "uid"), GID: rapid.IntRange(0, 1<<32-1).Draw(t, "gid"),
		Size: rapid.Int64Range(0, 1<<62).Draw(t, "size"), Hashed: rapid.Bool().Draw(t, "hashed"), Link: rapid.SliceOf(rapid.Byte()).Draw(t, "link"),
	}
	if r.have.Hashed {
		r.have.SHA256 = [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sum"))
	}
	return r
}

func plainly(r *record) string {
	return fmt.Sprintf("%q %d %v %x %v %d %d %o %d:%d %d %x %x", r.path, r.verdict, r.settled, r.stamp, r.have.Hashed, r.have.Kind, r.have.Exec,
		r.have.Mode, r.have.UID, r.have.GID, r.have.Size, r.have.SHA256, r.have.Link)
}

// TestMemory keeps records, and puts others in the place of some.
func TestMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab-](/?[ab-]){0,5}`), 0, 200, rapid.ID).Draw(t, "paths")
		byPath := func(a, b string) int { return manifest.Compare([]byte(a), []byte(b)) }
		slices.SortFunc(paths, byPath)
		model := map[string]string{}
		temporary := func() (*os.File, error) { return nil, fmt.Errorf("no file is needed for so little") }
		w := memoryWriter{temporary: temporary}
		for _, p := range paths {
			r := drawRecord(t, p)
			model[p] = plainly(&r)
			if err := w.add(&r); err != nil {
				t.Fatal(err)
			}
		}
		m, err := w.close()
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 10).Draw(t, "patches") {
			p := rapid.StringMatching(`[ab-](/?[ab-]){0,2}`).Draw(t, "patched")
			for old := range model {
				if covers([]byte(p), []byte(old)) {
					delete(model, old)
				}
			}
			part := memoryWriter{}
			for _, suffix := range []string{"", "/a", "/b"} {
				if rapid.Bool().Draw(t, "keep") {
					r := drawRecord(t, p+suffix)
					model[p+suffix] = plainly(&r)
					_ = part.add(&r)
				}
			}
			if m.covered([]byte(p)) || !m.patch([]byte(p), part.buf) {
				if err := m.fold(temporary); err != nil {
					t.Fatal(err)
				}
				if !m.patch([]byte(p), part.buf) {
					t.Fatal("a folded memory takes no patch")
				}
			}
		}
		from := rapid.SampledFrom([]string{"", "a", "b/a", "zz"}).Draw(t, "from")
		if m.covered([]byte(from)) {
			if err := m.fold(temporary); err != nil {
				t.Fatal(err)
			}
		}
		var want, got []string
		for p := range model {
			if byPath(p, from) >= 0 {
				want = append(want, p)
			}
		}
		slices.SortFunc(want, byPath)
		for i, p := range want {
			want[i] = model[p]
		}
		for r := m.start([]byte(from)); r.ok; r.next() {
			got = append(got, plainly(r.cur()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

// TestMemoryInAFile holds more than is kept in memory.
func TestMemoryInAFile(t *testing.T) {
	w := memoryWriter{temporary: unlinked}
	const many = 400_000
	for i := range many {
		must(t, w.add(&record{path: fmt.Appendf(nil, "%08d", i), stamp: stamp{1, byte(i)}}))
	}
	m, err := w.close()
	must(t, err)
	defer m.close()
	if m.mapping == nil {
		t.Fatal("all of it is in memory")
	}
	r := m.start([]byte("00350000"))
	for i := 350_000; i < many; i++ {
		if !r.ok || !bytes.Equal(r.cur().path, fmt.Appendf(nil, "%08d", i)) || r.cur().stamp != (stamp{1, byte(i)}) {
			t.Fatalf("record %d is %s", i, plainly(r.cur()))
		}
		r.next()
	}
	if r.ok {
		t.Error("there is more")
	}
}

// FuzzRedirect reads the one mark that says more than yes: whatever it says, it
// leads to a path of the manifest, or nowhere.
func FuzzRedirect(f *testing.F) {
	for _, v := range []string{"/a/b", "a", "..", "/../x", "", "/", "a/b", "/a//b", "a\x00", "/a/./b"} {
		f.Add([]byte(v), []byte("d/e"), true)
	}
	f.Fuzz(func(t *testing.T, value, parent []byte, has bool) {
		if !has {
			parent = nil
		}
		at, ok, err := redirect(value, parent)
		if err != nil || !ok {
			return
		}
		inside := at
		if has && len(value) > 0 && value[0] != '/' {
			inside = bytes.TrimPrefix(bytes.TrimPrefix(at, parent), []byte("/"))
		}
		for _, part := range bytes.Split(inside, []byte("/")) {
			if len(part) == 0 || string(part) == "." || string(part) == ".." || bytes.IndexByte(part, 0) >= 0 {
				t.Errorf("%q in %q leads to %q", value, parent, at)
			}
		}
	})
}
