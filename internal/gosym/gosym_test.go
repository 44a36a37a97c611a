package gosym

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/vuln/scan"
)

func TestReadFindsWhatWasLinked(t *testing.T) {
	tests := []struct {
		name         string
		goos, goarch string
		args         []string
		change       func([]byte) []byte
	}{
		{name: "elf", goos: "linux", goarch: runtime.GOARCH},
		{name: "elf stripped", goos: "linux", goarch: runtime.GOARCH, args: []string{"-ldflags=-s -w"}},
		{name: "elf without section headers", goos: "linux", goarch: "amd64", change: withoutSections},
		{name: "elf position-independent", goos: "linux", goarch: "amd64", args: []string{"-buildmode=pie", "-ldflags=-s -w"}},
		{name: "elf 32 bits big-endian", goos: "linux", goarch: "mips", args: []string{"-ldflags=-s -w"}},
		{name: "pe stripped", goos: "windows", goarch: "amd64", args: []string{"-ldflags=-s -w"}},
		{name: "mach-o stripped", goos: "darwin", goarch: "arm64", args: []string{"-ldflags=-s -w"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && test.goarch != runtime.GOARCH {
				t.Skip("building for other platforms takes a while")
			}
			content := build(t, test.goos, test.goarch, test.args...)
			if test.change != nil {
				content = test.change(content)
			}
			s, err := Read(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			checkProgram(t, s)
			again, err := Decode(s.Encode())
			if err != nil {
				t.Fatal(err)
			}
			checkProgram(t, again)
		})
	}
}

func checkProgram(t *testing.T, s *Set) {
	t.Helper()
	for _, want := range []struct{ pkg, symbol string }{
		{"runtime", "main"},
		{"main", "main"},
		{"example.com/app/cmd/tool", "main"},
		{"example.com/app/cmd/tool", "local.run"},
		{"example.com/app/lib", "Inlined"},
		{"example.com/app/lib", "leaf"},
		{"example.com/app/lib", "Generic"},
		{"example.com/app/lib", "Deferred"},
		{"example.com/app/lib", "OnlyClosure"},
		{"example.com/app/lib", "Value.Get"},
		{"example.com/app/lib", "Box.Put"},
		{"example.com/app/yaml.v3", "New"},
		{"example.com/app/yaml.v3", "Decoder.Decode"},
		{"example.com/app/yaml.v3", "Decoder.Bound"},
	} {
		if !s.Has(want.pkg, want.symbol) {
			t.Errorf("%s %s was linked in and is not in the set", want.pkg, want.symbol)
		}
		if !s.HasPackage(want.pkg) {
			t.Errorf("%s was linked in and is not in the set", want.pkg)
		}
	}
	for _, absent := range []struct{ pkg, symbol string }{
		{"example.com/app/lib", "NeverCalled"},
		{"example.com/app/lib", "Box.Take"},
		{"example.com/app/yaml.v3", "Decoder.NeverCalled"},
		{"example.com/app/unused", "F"},
		{"net/http", "Get"},
	} {
		if s.Has(absent.pkg, absent.symbol) {
			t.Errorf("%s %s was not linked in and is in the set", absent.pkg, absent.symbol)
		}
	}
	if s.HasPackage("example.com/app/unused") {
		t.Error("a package that nobody imports is in the set")
	}
}

// TestReadAgreesWithGovulncheck compares with what govulncheck extracts from a
// binary that was not stripped, and shows that stripping changes nothing here.
func TestReadAgreesWithGovulncheck(t *testing.T) {
	content := build(t, "linux", runtime.GOARCH)
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := scan.Command(context.Background(), "-mode=extract", path)
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	type symbol struct {
		Pkg  string `json:"pkg"`
		Name string `json:"name"`
	}
	var extracted struct {
		PkgSymbols []symbol `json:"pkgSymbols"`
	}
	for d := json.NewDecoder(&out); d.More(); {
		if err := d.Decode(&extracted); err != nil {
			t.Fatal(err)
		}
	}
	if len(extracted.PkgSymbols) < 500 {
		t.Fatalf("govulncheck extracted only %d symbols", len(extracted.PkgSymbols))
	}
	stripped := build(t, "linux", runtime.GOARCH, "-ldflags=-s -w")
	for name, binary := range map[string][]byte{"whole": content, "stripped": stripped} {
		s, err := Read(bytes.NewReader(binary))
		if err != nil {
			t.Fatal(err)
		}
		var missing []symbol
		for _, e := range extracted.PkgSymbols {
			plain := strings.TrimSuffix(e.Name, "-fm")
			if e.Pkg != "" && !strings.HasPrefix(e.Pkg, "type:") && !strings.HasPrefix(e.Pkg, "go:") && !s.Has(e.Pkg, plain) && strings.Count(plain, ".") < 2 {
				missing = append(missing, e)
			}
		}
		if len(missing) > 0 {
			t.Errorf("%s: govulncheck sees %v", name, missing)
		}
	}
}

func TestPackages(t *testing.T) {
	got, err := Packages(bytes.NewReader(build(t, "linux", runtime.GOARCH, "-ldflags=-s -w")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example.com/app/lib", "example.com/app/yaml.v3", "main", "runtime"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if !slices.IsSorted(got) {
		t.Error("not in order")
	}
}

func TestReadRefuses(t *testing.T) {
	program := build(t, "linux", runtime.GOARCH)
	tests := []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "read the functions of a Go binary: read the binary's first bytes: EOF"},
		{"script", []byte("#!/bin/sh\n"), "read the functions of a Go binary: neither ELF nor PE nor Mach-O"},
		{"obfuscated names", bytes.ReplaceAll(program, []byte("runtime.main\x00"), []byte("xunti.e_main\x00")),
			"read the functions of a Go binary: the table lacks the runtime: the names are obfuscated, or the program is spread over several files"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Read(bytes.NewReader(test.content))
			if err == nil {
				t.Fatalf("read %d hashes", s.Len())
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := newSet(0, []uint64{1, 2, 3}).Encode()
	swapped := bytes.Clone(good)
	swapped[len(magic)+1+4] = 9
	for name, blob := range map[string][]byte{
		"nothing":       nil,
		"other":         []byte("something else"),
		"cut":           good[:len(good)-1],
		"out of order":  swapped,
		"unknown flags": append([]byte(magic), 0x80),
	} {
		if _, err := Decode(blob); err == nil {
			t.Errorf("%s was decoded", name)
		}
	}
	if _, err := Decode(good); err != nil {
		t.Error(err)
	}
}

// TestNilSetKnowsNothing keeps a caller that lost the set from reading "absent".
func TestNilSetKnowsNothing(t *testing.T) {
	var s *Set
	if !s.Has("a", "B") || !s.HasPackage("a") {
		t.Error("nil says that something is absent")
	}
}

func TestUnknownMainMayBeAnyPackage(t *testing.T) {
	s := newSet(flagMain, []uint64{hashSymbol("main", "run")})
	if !s.Has("example.com/cmd/x", "run") || !s.HasPackage("example.com/cmd/x") {
		t.Error("a symbol of package main is said to be absent from a path that may be main")
	}
	if s.Has("example.com/cmd/x", "other") {
		t.Error("a symbol that is nowhere is there")
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name, pkg string
		symbols   []string
	}{
		{"main.main", "main", []string{"main"}},
		{"net/http.(*Server).Serve", "net/http", []string{"Server.Serve"}},
		{"net/http.HandlerFunc.ServeHTTP", "net/http", []string{"HandlerFunc", "HandlerFunc.ServeHTTP"}},
		{"net/http.(*Server).Serve.func1", "net/http", []string{"Server.Serve"}},
		{"net/http.(*Server).Serve-fm", "net/http", []string{"Server.Serve"}},
		{"gopkg.in/yaml%2ev3.(*Decoder).Decode", "gopkg.in/yaml.v3", []string{"Decoder.Decode"}},
		{"a.b/c/v2.Map[...]", "a.b/c/v2", []string{"Map"}},
		{"a.b/c/v2.Map[go.shape.int_0,x.y/z.T]", "a.b/c/v2", []string{"Map"}},
		{"a.b/c.(*List[...]).Push.func2", "a.b/c", []string{"List.Push"}},
		{"sync.OnceFunc.func1", "sync", []string{"OnceFunc", "OnceFunc.func1"}},
		{"main.main.OnceFunc.func1", "main", []string{"main", "main.OnceFunc", "OnceFunc", "OnceFunc.func1"}},
		{"main.main.(*T).M.func2", "main", []string{"main", "T.M"}},
		{"go.uber.org/zap.(*Logger).Info", "go.uber.org/zap", []string{"Logger.Info"}},
		{"type.example/x.F", "type.example/x", []string{"F"}},
		{"a.init.0", "a", []string{"init", "init.0"}},
		{"a.(*struct { b/c.T }).M", "a", []string{"struct { b/c.T }.M"}},
		{"type:.eq.a/b.T", "", nil},
		{"go:buildid", "", nil},
		{"nodot", "", nil},
		{"a%zz.F", "", nil},
	}
	for _, test := range tests {
		pkg, rest, ok := split(test.name)
		var got []string
		if ok {
			symbols(rest, func(s string) { got = append(got, s) })
		}
		if diff := cmp.Diff(test.symbols, got); diff != "" || pkg != test.pkg {
			t.Errorf("%s: package %q\n%s", test.name, pkg, diff)
		}
	}
}

func TestVendoredPathsAreKnownByBothNames(t *testing.T) {
	for path, want := range map[string][]string{
		"a/b":                     {"a/b"},
		"vendor/golang.org/x/net": {"vendor/golang.org/x/net", "golang.org/x/net"},
		"a/vendor/b/vendor/c":     {"a/vendor/b/vendor/c", "c"},
	} {
		var got []string
		aliases(path, func(s string) { got = append(got, s) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

// FuzzRead feeds binaries that lie. Reading must end, in an error or a set that
// survives storage.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Add([]byte("MZ\x00\x00"))
	f.Add(smallELF("runtime.main\x00main.main\x00a/b.(*T).M\x00"))
	f.Add(smallELF(""))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := Read(bytes.NewReader(content))
		if err != nil {
			return
		}
		again, err := Decode(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !again.Has("runtime", "main") {
			t.Error("a set without the runtime was accepted")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHas(b *testing.B) {
	hashes := make([]uint64, 100_000)
	for i := range hashes {
		hashes[i] = hashSymbol("example.com/a/b", strings.Repeat("x", i%50)+string(rune('a'+i%26)))
	}
	s := newSet(0, hashes)
	for b.Loop() {
		s.Has("example.com/a/b", "Reader.Read")
	}
}
