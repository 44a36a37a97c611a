package gosym

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// program is a module whose packages hold what names can look like. It imports
// next to nothing, so that it is quickly built for any platform.
var program = map[string]string{
	"go.mod": "module example.com/app\n\ngo 1.21\n",
	"cmd/tool/main.go": `package main

import (
	"example.com/app/lib"
	"example.com/app/yaml.v3"
)

type local struct{}

func (*local) run() { println(lib.Inlined(len(names))) }

var names []string

func main() {
	(&local{}).run()
	d := yaml.New()
	println(d.Decode(), lib.Generic(3), lib.Value{N: 1}.Get(), (&lib.Box[string]{}).Put("x"))
	f := d.Bound
	each(f)
	defer lib.Deferred(names...)
	lib.OnlyClosure(func() { println("closure") })
}

//go:noinline
func each(f func() int) { println(f()) }
`,
	"lib/lib.go": `package lib

func Inlined(n int) int { return n*2 + leaf(n) }

func leaf(n int) int { println(n); return n + 1 }

//go:noinline
func Generic[T int | string](t T) T { return t }

//go:noinline
func Deferred(s ...string) { println(len(s)) }

func OnlyClosure(f func()) { func() { println("x"); f() }() }

type Value struct{ N int }

//go:noinline
func (v Value) Get() int { return v.N }

type Box[T any] struct{ v T }

//go:noinline
func (b *Box[T]) Put(t T) int { b.v = t; return 1 }

//go:noinline
func (b *Box[T]) Take() T { return b.v }

//go:noinline
func NeverCalled() { println("never") }
`,
	"yaml.v3/yaml.go": `package yaml

type Decoder struct{ n int }

//go:noinline
func New() *Decoder { return &Decoder{} }

//go:noinline
func (d *Decoder) Decode() int { return d.n }

//go:noinline
func (d *Decoder) Bound() int { return d.n + 1 }

//go:noinline
func (d *Decoder) NeverCalled() int { return d.n + 2 }
`,
	"unused/unused.go": "package unused\n\nfunc F() {}\n",
}

// build returns the program's bytes, built for a platform with further arguments.
func build(t testing.TB, goos, goarch string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range program {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	args = append(append([]string{"build", "-o", out}, args...), "./cmd/tool")
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, text)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// withoutSections returns the 64-bit ELF file as sstrip leaves it: no section
// headers.
func withoutSections(content []byte) []byte {
	content = bytes.Clone(content)
	for _, at := range []int{0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x3c, 0x3d, 0x3e, 0x3f} {
		content[at] = 0
	}
	return content
}

// smallELF returns a 64-bit ELF file whose one segment is a table with the names.
func smallELF(names string) []byte {
	const headers = 64 + 56
	table := make([]byte, 8+8*8)
	copy(table, "\xf1\xff\xff\xff\x00\x00\x01\x08")
	le := binary.LittleEndian
	le.PutUint64(table[8:], 1)
	le.PutUint64(table[8+3*8:], uint64(len(table)))
	le.PutUint64(table[8+4*8:], uint64(len(table)+len(names)))
	table = append(append(table, names...), 0)

	file := make([]byte, headers)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 2)  // executable
	le.PutUint16(file[18:], 62) // x86-64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[32:], 64) // program headers
	le.PutUint16(file[52:], 64)
	le.PutUint16(file[54:], 56)
	le.PutUint16(file[56:], 1)
	le.PutUint32(file[64:], 1) // PT_LOAD
	le.PutUint64(file[64+8:], headers)
	le.PutUint64(file[64+32:], uint64(len(table)))
	le.PutUint64(file[64+40:], uint64(len(table)))
	return append(file, table...)
}
