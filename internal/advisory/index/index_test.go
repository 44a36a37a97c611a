package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// memory is a file in memory.
type memory struct{ b []byte }

func (m *memory) Write(b []byte) (int, error) { m.b = append(m.b, b...); return len(b), nil }

func (m *memory) WriteAt(b []byte, at int64) (int, error) { return copy(m.b[at:], b), nil }

// sample is what the index of the tests holds.
func sample() ([]*Package, []Hole, []Name) {
	openssl := &Package{
		Family: "Debian", Name: "openssl", Versions: []string{"1.1.1k-1", "1.1.1n-0", "what?"}, Comparable: 2, Ordered: true,
		Statements: []Statement{
			{Source: 0, Ecosystems: []uint32{0, 1}, Holes: []uint32{0}, Ranges: []Range{{{Introduced, Beginning}, {Fixed, 1}}}, WontFix: true},
			{Source: 0, Ecosystems: []uint32{1}, Holes: []uint32{0, 1}, Exact: []uint32{0, 2}},
		},
	}
	stdlib := &Package{
		Family: "Go", Name: "stdlib", Versions: []string{"1.22.4"}, Comparable: 1, Ordered: true,
		Statements: []Statement{{
			Source: 0, Symbolic: true, Ecosystems: []uint32{2}, Holes: []uint32{1}, Ranges: []Range{{{Introduced, Beginning}, {Fixed, 0}}},
			Imports: []Import{{Path: "net/netip", Symbols: []string{"Addr.IsPrivate"}, GOOS: []string{"linux"}}},
		}},
	}
	packages := []*Package{openssl, stdlib}
	slices.SortFunc(packages, func(a, b *Package) int {
		if Hash(a.Family, a.Name) < Hash(b.Family, b.Name) {
			return -1
		}
		return 1
	})
	at := time.Date(2024, 6, 5, 4, 3, 2, 0, time.UTC)
	holes := []Hole{
		{Names: []string{"CVE-2022-1", "DSA-1-1"}, Published: at, Modified: at.Add(time.Hour), Summary: "A hole", KnownExploited: true, EPSS: 0.25},
		{Names: []string{"CVE-2024-2", "GO-1"}, Scored: true, Score: 9.8, ScoreSource: "x, CVSS 3.1", Vector: "CVSS:3.1/AV:N", SSVC: touchstone.SSVC{Exploitation: "poc", Source: "CISA-ADP"}},
	}
	names := []Name{{"CVE-2022-1", []uint32{0}}, {"DSA-1-1", []uint32{0, 1}}, {"CVE-2024-2", []uint32{1}}, {"GO-1", []uint32{1}}}
	return packages, holes, names
}

func write(t testing.TB) []byte {
	t.Helper()
	packages, holes, names := sample()
	out := &memory{}
	w, err := NewWriter(out)
	if err != nil {
		t.Fatal(err)
	}
	refs, err := w.Names(names)
	if err != nil {
		t.Fatal(err)
	}
	ref := map[string]uint32{}
	for i, n := range names {
		ref[n.Text] = refs[i]
	}
	for _, p := range packages {
		for i := range p.Statements {
			p.Statements[i].Source = refs[0]
		}
		at, err := w.AddPackage(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Statements {
			for _, h := range s.Holes {
				if l := holes[h].Packages; len(l) == 0 || l[len(l)-1] != at {
					holes[h].Packages = append(l, at)
				}
			}
		}
	}
	if err := w.EndPackages(); err != nil {
		t.Fatal(err)
	}
	for i := range holes {
		var list []uint32
		for _, n := range holes[i].Names {
			list = append(list, ref[n])
		}
		if err := w.AddHole(&holes[i], list); err != nil {
			t.Fatal(err)
		}
	}
	meta := &Meta{Ecosystems: []Ecosystem{{"Debian:11", 2}, {"Debian:12", 1}, {"Go", 1}}, Records: 3}
	if _, err := w.Finish(meta, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	return out.b
}

func TestRoundTrip(t *testing.T) {
	r, err := open(write(t))
	if err != nil {
		t.Fatal(err)
	}
	packages, holes, names := sample()
	source, err := r.Named("CVE-2022-1")
	if err != nil || len(source) != 1 {
		t.Fatal(source, err)
	}
	for _, want := range packages {
		got, err := r.Package(want.Family, want.Name)
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		for i := range got.Statements {
			who, err := r.Name(got.Statements[i].Source)
			if err != nil || who != "CVE-2022-1" {
				t.Errorf("source %q, %v", who, err)
			}
			got.Statements[i].Source = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, diff)
		}
	}
	for i, want := range holes {
		got, err := r.Hole(uint32(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range got.Packages {
			if _, err := r.PackageAt(ref); err != nil {
				t.Error(err)
			}
		}
		got.Packages = nil
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("hole %d (-want +got):\n%s", i, diff)
		}
	}
	for _, want := range names {
		got, err := r.Named(want.Text)
		if err != nil || !slices.Equal(got, want.Holes) {
			t.Errorf("%s names %v, %v", want.Text, got, err)
		}
	}
	for _, absent := range []string{"", "CVE-2022-2", "openssl"} {
		if got, err := r.Named(absent); err != nil || got != nil {
			t.Errorf("%q names %v, %v", absent, got, err)
		}
	}
	if p, err := r.Package("Debian", "opensslx"); err != nil || p != nil {
		t.Errorf("an absent package is %v, %v", p, err)
	}
}

// ask asks everything; it must give answers or ErrDamaged and never panic.
func ask(t *testing.T, data []byte) (answers string) {
	t.Helper()
	r, err := open(data)
	note := func(v any, err error) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("not ErrDamaged: %v", err)
		}
		answers += fmt.Sprintf("%+v %v\n", v, err != nil)
	}
	if err != nil {
		note(nil, err)
		return answers
	}
	packages, holes, names := sample()
	for _, p := range packages {
		got, err := r.Package(p.Family, p.Name)
		note(got, err)
		if got != nil {
			for i := range got.Statements {
				note(got.Statements[i].Affects(At(0, got.Comparable), "1.0", got.Versions), nil)
				note(nil, func() error { _, err := r.Name(got.Statements[i].Source); return err }())
			}
		}
	}
	for i := range len(holes) + 1 {
		h, err := r.Hole(uint32(i))
		note(h, err)
		if h != nil {
			for _, ref := range h.Packages {
				note(r.PackageAt(ref))
			}
		}
	}
	for _, n := range names {
		note(r.Named(n.Text))
	}
	return answers
}

// TestEveryByteCounts alters each byte of the file in turn: the answer must be an
// error, never another answer.
func TestEveryByteCounts(t *testing.T) {
	good := write(t)
	want := ask(t, good)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		got := ask(t, bad)
		for line := range bytes.Lines([]byte(got)) {
			if !bytes.HasSuffix(line, []byte("true\n")) && !bytes.Contains([]byte(want), line) {
				t.Fatalf("byte %d altered: another answer: %s", i, line)
			}
		}
	}
}

func TestCutShort(t *testing.T) {
	good := write(t)
	for n := 0; n < len(good); n += 13 {
		if _, err := open(good[:n:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
}

// TestCutShortWhileOpen cuts the mapped file short: touching what is gone must
// not end the process.
func TestCutShortWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index")
	if err := os.WriteFile(path, write(t), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Package("Debian", "openssl"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a file that was cut short answers: %v", err)
	}
}

func TestForeignVersion(t *testing.T) {
	b := write(t)
	binary.LittleEndian.PutUint32(b[len(magic):], version+1)
	if _, err := open(b); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	r, err := open(write(t))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if p, err := r.Package("Go", "stdlib"); err != nil || p == nil {
					t.Error(p, err)
				}
			}
		})
	}
	wg.Wait()
}

// reseal makes header and sums fit altered sections, so that the decoders behind
// them are reached.
func reseal(b []byte) {
	h, err := decodeHeader(b, uint64(len(b)))
	if err != nil {
		return
	}
	sums := h.spans[secSums].off
	for page := uint64(1); page*pageSize < sums; page++ {
		binary.LittleEndian.PutUint32(b[sums+page*4:], crc32.Checksum(b[page*pageSize:min((page+1)*pageSize, sums)], castagnoli()))
	}
	h.sumsCRC = crc32.Checksum(b[sums:], castagnoli())
	copy(b, h.encode())
}

func FuzzDecode(f *testing.F) {
	good := write(f)
	f.Add(uint16(0), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint16(100), []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01})
	f.Fuzz(func(t *testing.T, at uint16, with []byte) {
		b := bytes.Clone(good)
		copy(b[pageSize+int(at)%(len(b)-pageSize):], with)
		reseal(b)
		ask(t, b)
	})
}

func TestKey(t *testing.T) {
	tests := []struct{ family, name, want string }{
		{"PyPI", "Zope.Interface", "zope-interface"}, {"PyPI", "a__b--c", "a-b-c"}, {"NuGet", "Newtonsoft.Json", "newtonsoft.json"},
		{"crates.io", "serde_json", "serde-json"}, {"npm", "JSONStream", "JSONStream"}, {"Go", "github.com/A/b", "github.com/A/b"},
		{"Maven", "org.apache.logging.log4j:log4j-core", "org.apache.logging.log4j:log4j-core"}, {"SwiftURL", "https://github.com/Apple/swift-nio.git", "github.com/apple/swift-nio"},
		{"Packagist", "Symfony/HTTP-kernel", "symfony/http-kernel"}, {"Debian", "openssl", "openssl"},
	}
	for _, tt := range tests {
		if got := Key(tt.family, tt.name); got != tt.want {
			t.Errorf("Key(%q, %q) = %q, want %q", tt.family, tt.name, got, tt.want)
		}
	}
}
