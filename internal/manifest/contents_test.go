package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func contents(tb testing.TB, held int, entries ...Entry) *Contents {
	tb.Helper()
	var buf bytes.Buffer
	if err := writeContents(open(tb, write(tb, entries...)), &buf, held); err != nil {
		tb.Fatal(err)
	}
	c, err := OpenContents(buf.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestContents(t *testing.T) {
	sum := func(b byte) [32]byte { return [32]byte{b} }
	c := contents(t, contentsHeld,
		Entry{Path: []byte("a"), Size: 3, Hashed: true, SHA256: sum(1), Exec: ExecELF, Mode: 0o755},
		Entry{Path: []byte("b"), Size: 3, Hashed: true, SHA256: sum(1), Mode: 0o644},
		Entry{Path: []byte("big"), Size: 1 << 40},
		Entry{Path: []byte("dir"), Kind: Dir},
		Entry{Path: []byte("empty"), Hashed: true, SHA256: sum(9)},
		Entry{Path: []byte("link"), Kind: Symlink, Link: []byte("a"), Hashed: true, SHA256: sum(7), Size: 1},
	)
	if c.Len() != 2 {
		t.Errorf("%d contents, want 2", c.Len())
	}
	tests := []struct {
		name string
		size int64
		sum  [32]byte
		exec Exec
		has  bool
		some bool // a file of the size
	}{
		{"executable at one of two paths", 3, sum(1), ExecELF, true, true},
		{"an empty file", 0, sum(9), ExecNone, true, true},
		{"another content of that size", 3, sum(2), ExecNone, false, true},
		{"that content of another size", 4, sum(1), ExecNone, false, false},
		{"a file without a hash", 1 << 40, sum(0), ExecNone, false, false},
		{"a link", 1, sum(7), ExecNone, false, false},
		{"a size below zero", -1, sum(1), ExecNone, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if exec, has := c.Has(test.size, test.sum); has != test.has || exec != test.exec {
				t.Errorf("Has: %v %v, want %v %v", exec, has, test.exec, test.has)
			}
			if some := c.HasSize(test.size); some != test.some {
				t.Errorf("HasSize: %v, want %v", some, test.some)
			}
		})
	}
}

func TestContentsAreThoseOfTheManifest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type content struct {
			size int64
			sum  [32]byte
		}
		// Few sizes and sums, so that some come twice.
		draw := func(label string) content {
			return content{rapid.Int64Range(0, 6).Draw(t, label+" size"), [32]byte{rapid.Byte().Draw(t, label) % 8, 31: 1}}
		}
		var buf bytes.Buffer
		w := NewWriter(&buf)
		want := make(map[content]bool)
		for i := range rapid.IntRange(0, 200).Draw(t, "files") {
			has := draw("content")
			e := Entry{Path: fmt.Appendf(nil, "%04d", i), Size: has.size, SHA256: has.sum, Hashed: rapid.Bool().Draw(t, "hashed"), Exec: Exec(rapid.IntRange(0, 3).Draw(t, "exec"))}
			if !e.Hashed {
				e.SHA256 = [32]byte{}
			} else {
				want[has] = want[has] || e.Exec != ExecNone
			}
			if err := w.Add(&e); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := writeContents(r, &out, rapid.IntRange(2, 300).Draw(t, "held")); err != nil {
			t.Fatal(err)
		}
		c, err := OpenContents(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if c.Len() != len(want) {
			t.Fatalf("%d contents, want %d", c.Len(), len(want))
		}
		sizes := make(map[int64]bool)
		for have, executable := range want {
			sizes[have.size] = true
			exec, has := c.Has(have.size, have.sum)
			if !has || (exec != ExecNone) != executable {
				t.Fatalf("Has(%v) = %v, %v; executable: %v", have, exec, has, executable)
			}
		}
		other := draw("other")
		if _, is := want[other]; !is {
			if _, has := c.Has(other.size, other.sum); has {
				t.Fatalf("it has %v, which nobody put there", other)
			}
		}
		if c.HasSize(other.size) != sizes[other.size] {
			t.Fatalf("HasSize(%d) = %v", other.size, !sizes[other.size])
		}
	})
}

func TestDamagedContentsAreAnError(t *testing.T) {
	var entries []Entry
	for i := range 20 {
		entries = append(entries, regular(fmt.Sprintf("%03d", i), fmt.Sprint(i)))
	}
	var buf bytes.Buffer
	if err := WriteContents(open(t, write(t, entries...)), &buf); err != nil {
		t.Fatal(err)
	}
	for i := range buf.Len() {
		damaged := bytes.Clone(buf.Bytes())
		damaged[i] ^= 0x10
		if _, err := OpenContents(damaged); err == nil {
			t.Errorf("byte %d changed: no error", i)
		}
		if _, err := OpenContents(buf.Bytes()[:i]); err == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
	}
}

func TestContentsOfADamagedManifest(t *testing.T) {
	data := write(t, regular("a", "1"), regular("b", "2"))
	data[3] ^= 1
	if err := WriteContents(open(t, data), &bytes.Buffer{}); err == nil {
		t.Error("no error")
	}
}

func FuzzOpenContents(f *testing.F) {
	var buf bytes.Buffer
	if err := WriteContents(open(f, write(f, regular("a", "1"), regular("b", "22"))), &buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes(), int64(1))
	f.Add([]byte(contentsMagic), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		c, err := OpenContents(data)
		if err != nil {
			return
		}
		var sum [32]byte
		copy(sum[:], data)
		if exec, has := c.Has(size, sum); has {
			k := key(size, &sum)
			if exec >= execs || !bytes.Contains(data, k[:]) {
				t.Errorf("it has what is not in its bytes")
			}
		}
		c.HasSize(size)
	})
}

// many is a manifest of n files, each of another content.
func many(tb testing.TB, n int) *Reader {
	tb.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	for i := range n {
		e := Entry{Path: fmt.Appendf(nil, "usr/lib/%08d", i), Size: int64(i % 5000), Hashed: true, Mode: 0o644}
		e.SHA256 = sha256.Sum256(binary.LittleEndian.AppendUint32(nil, uint32(i)))
		if err := w.Add(&e); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return open(tb, buf.Bytes())
}

func BenchmarkContents(b *testing.B) {
	const n = 100_000
	r := many(b, n)
	var buf bytes.Buffer
	if err := WriteContents(r, &buf); err != nil {
		b.Fatal(err)
	}
	b.Run("write 100,000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := WriteContents(r, &bytes.Buffer{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open 100,000", func(b *testing.B) {
		for b.Loop() {
			if _, err := OpenContents(buf.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	c, err := OpenContents(buf.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("has", func(b *testing.B) {
		b.ReportAllocs()
		sum := sha256.Sum256(binary.LittleEndian.AppendUint32(nil, 4711))
		for b.Loop() {
			if _, has := c.Has(4711, sum); !has {
				b.Fatal("it is not there")
			}
		}
	})
	b.Run("has size", func(b *testing.B) {
		for b.Loop() {
			c.HasSize(5001)
		}
	})
}
