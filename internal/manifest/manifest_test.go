package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

func write(tb testing.TB, entries ...Entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for i := range entries {
		if err := w.Add(&entries[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func open(tb testing.TB, data []byte) *Reader {
	tb.Helper()
	r, err := Open(data)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func regular(path, content string) Entry {
	return Entry{Path: []byte(path), Kind: Regular, Size: int64(len(content)), Hashed: true, SHA256: [32]byte([]byte(fmt.Sprintf("%-32s", content))), Mode: 0o644}
}

func TestFileInItsWords(t *testing.T) {
	entries := []Entry{
		{Path: []byte("a"), Kind: Dir, Mode: 0o1777, UID: 1, GID: -2},
		{Path: []byte("a/b"), Kind: Regular, Exec: ExecLibrary, Mode: 0o4755, Size: 1 << 40, Hashed: true, SHA256: [32]byte{0xab}},
		{Path: []byte("a/l"), Kind: Symlink, Link: []byte("../x"), Mode: 0o777},
		{Path: []byte("a-"), Kind: Device},
		{Path: []byte("p"), Kind: Fifo},
		{Path: []byte("unread"), Kind: Regular, Size: 7},
	}
	r := open(t, write(t, entries...))
	want := []touchstone.File{
		{Path: "a", Kind: touchstone.FileDir, Mode: 0o1777, UID: 1, GID: -2},
		{Path: "a/b", Kind: touchstone.FileRegular, Exec: touchstone.ExecLibrary, Mode: 0o4755, Size: 1 << 40, SHA256: touchstone.Digest("sha256:ab" + strings.Repeat("0", 62))},
		{Path: "a/l", Kind: touchstone.FileSymlink, Link: "../x", Mode: 0o777},
		{Path: "a-", Kind: touchstone.FileDevice},
		{Path: "p", Kind: touchstone.FileFifo},
		{Path: "unread", Kind: touchstone.FileRegular, Size: 7},
	}
	var got []touchstone.File
	for f, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(touchstone.ManifestSummary{Files: 6, Executables: 1, Bytes: 1<<40 + 7}, r.Summary()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestOrder(t *testing.T) {
	want := []string{"a", "a/b", "a/b/c", "a/b-", "a\x01", "a-", "a-/x", "b", "\xff"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return Compare([]byte(a), []byte(b)) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWriterRefuses(t *testing.T) {
	tests := []struct {
		name    string
		entries []Entry
	}{
		{"out of order", []Entry{regular("b", ""), regular("a", "")}},
		{"twice", []Entry{regular("a", ""), regular("a", "")}},
		{"a mark after its file", []Entry{regular("a", ""), {Path: []byte("a"), Kind: Whiteout}}},
		{"no path", []Entry{{}}},
		{"a size below zero", []Entry{{Path: []byte("a"), Size: -1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := NewWriter(&bytes.Buffer{})
			var err error
			for i := range test.entries {
				err = w.Add(&test.entries[i])
			}
			if err == nil {
				t.Error("no error")
			}
			if _, again := w.Close(); again == nil {
				t.Error("Close gives no error after a failed Add")
			}
		})
	}
}

func TestDamageIsAnError(t *testing.T) {
	var entries []Entry
	for i := range 300 {
		entries = append(entries, regular(fmt.Sprintf("dir/file-%04d", i), "x"))
	}
	good := write(t, entries...)
	for at := 0; at < len(good); at += 7 {
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		if err := walk(bad); err == nil {
			t.Fatalf("byte %d of %d was changed and nobody noticed", at, len(good))
		}
	}
	for n := 0; n < len(good); n += 11 {
		if err := walk(good[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes and nobody noticed", n, len(good))
		}
	}
}

// walk reads all that there is.
func walk(data []byte) error {
	r, err := Open(data)
	if err != nil {
		return err
	}
	c := r.Start()
	n := 0
	for c.Next() {
		n++
	}
	if c.Err() == nil && n != r.Summary().Files {
		return errors.New("the summary is wrong")
	}
	return c.Err()
}

// paths draws paths that share prefixes and lie in one another.
func paths() *rapid.Generator[string] {
	return rapid.StringMatching(`[ab-](/?[ab-]){0,6}`)
}

func TestSorterIsAMapWrittenInOrder(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(paths(), 0, 200).Draw(t, "paths")
		s := Sorter{ChunkBytes: rapid.SampledFrom([]int{1, 200, 1000, 1 << 20}).Draw(t, "chunk"),
			Temporary: func() (*os.File, error) { return os.CreateTemp(dir, "") }}
		want, replaced := map[string]string{}, 0
		s.Duplicate = func(*Entry, *Entry) { replaced++ }
		for i, name := range names {
			e := regular(name, fmt.Sprint(i))
			want[name] = fmt.Sprint(i)
			if err := s.Add(&e); err != nil {
				t.Fatal(err)
			}
		}
		var buf bytes.Buffer
		w := NewWriter(&buf)
		if err := s.WriteTo(w); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if r.Summary().Files != len(want) || replaced != len(names)-len(want) {
			t.Fatalf("%d files and %d replaced, want %d and %d", r.Summary().Files, replaced, len(want), len(names)-len(want))
		}
		for name, content := range want {
			e := regular(name, content)
			got, ok, err := r.Lookup(name)
			if err != nil || !ok {
				t.Fatalf("looking up %q: %v, %v", name, ok, err)
			}
			if diff := cmp.Diff(e.File(), got); diff != "" {
				t.Fatal(diff)
			}
		}
		if _, ok, _ := r.Lookup("a/absent"); ok {
			t.Fatal("found what is not there")
		}
	})
}

func TestLookupPassesMarks(t *testing.T) {
	var entries []Entry
	for i := range 200 { // so that a mark and its file fall into different blocks somewhere
		p := []byte(fmt.Sprintf("f%03d", i))
		entries = append(entries, Entry{Path: p, Kind: Whiteout}, Entry{Path: p, Kind: Opaque}, Entry{Path: p, Kind: Dir})
	}
	r := open(t, write(t, entries...))
	for i := range 200 {
		if f, ok, err := r.Lookup(fmt.Sprintf("f%03d", i)); !ok || err != nil || f.Kind != touchstone.FileDir {
			t.Errorf("f%03d: %v, %v, %v", i, f, ok, err)
		}
	}
}

func TestDiff(t *testing.T) {
	before := open(t, write(t, regular("a", "1"), regular("b", "1"), regular("c", "1"), regular("e", "1")))
	mode := regular("c", "1")
	mode.Mode = 0o4755
	after := open(t, write(t, regular("b", "1"), mode, regular("d", "1"), regular("e", "2")))
	var got []string
	for c, err := range Diff(before, after) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Before == nil:
			got = append(got, "+"+c.Path)
		case c.After == nil:
			got = append(got, "-"+c.Path)
		default:
			got = append(got, "~"+c.Path)
		}
	}
	if diff := cmp.Diff([]string{"-a", "~c", "+d", "~e"}, got); diff != "" {
		t.Error(diff)
	}
	for range Diff(before, before) {
		t.Error("a manifest differs from itself")
	}
	bad := write(t, regular("a", "1"))
	bad[0] ^= 1
	var last error
	for _, err := range Diff(before, open(t, bad)) {
		last = err
	}
	if last == nil {
		t.Error("damage did not show")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f))
	f.Add(write(f, regular("a", "1"), Entry{Path: []byte("a/b"), Kind: Symlink, Link: []byte("x"), UID: 3}))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Open(data)
		if err != nil {
			return
		}
		var before Entry
		c := r.Start()
		for n := 0; c.Next(); n++ {
			if n > 0 && compareEntries(&before, c.Entry()) >= 0 {
				t.Fatal("not in order")
			}
			before.Path = append(before.Path[:0], c.Entry().Path...)
			before.Kind = c.Entry().Kind
			if _, _, err := r.Lookup(string(before.Path)); err != nil {
				return
			}
		}
		for range Diff(r, r) {
			break
		}
	})
}

// FuzzEntry is where the fuzzer gets past the sums.
func FuzzEntry(f *testing.F) {
	e := regular("a/b", "1")
	f.Add(appendEntry(nil, nil, &e))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e Entry
		for rest, err := decodeEntry(data, &e); err == nil && len(rest) > 0; {
			again := appendEntry(nil, nil, &e)
			o := Entry{}
			if _, err := decodeEntry(again, &o); err != nil || !e.same(&o) || !bytes.Equal(e.Path, o.Path) {
				t.Fatalf("%v becomes %v: %v", e, o, err)
			}
			rest, err = decodeEntry(rest, &e)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	var entries []Entry
	for i := range 100_000 {
		entries = append(entries, regular(fmt.Sprintf("usr/share/doc/package-%06d/copyright", i), "x"))
	}
	r := open(b, write(b, entries...))
	for b.Loop() {
		if _, ok, err := r.Lookup("usr/share/doc/package-054321/copyright"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	var entries []Entry
	for i := range 100_000 {
		entries = append(entries, regular(fmt.Sprintf("usr/share/doc/package-%06d/copyright", i), "x"))
	}
	data := write(b, entries...)
	for b.Loop() {
		c := open(b, data).Start()
		for c.Next() {
		}
	}
	b.ReportMetric(float64(len(data))/1e5, "bytes/file")
}
