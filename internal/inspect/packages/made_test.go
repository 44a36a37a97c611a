package packages

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"testing"
	"unicode/utf16"
)

// zipOf makes an archive of names and texts in turn.
func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// auditable makes an ELF file with a list of crates.
func auditable(t testing.TB, list string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = io.WriteString(z, list)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	const header, section = 64, 64
	le := binary.LittleEndian
	file := make([]byte, header)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 2)  // a program
	le.PutUint16(file[18:], 62) // for x86-64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[40:], uint64(header+packed.Len()+len(names)))
	le.PutUint16(file[52:], header)
	le.PutUint16(file[58:], section)
	le.PutUint16(file[60:], 3)
	le.PutUint16(file[62:], 2) // which section holds the names
	file = append(append(file, packed.Bytes()...), names...)
	for _, s := range []struct{ name, kind, from, size int }{{}, {1, 1, header, packed.Len()}, {9, 3, header + packed.Len(), len(names)}} {
		h := make([]byte, section)
		le.PutUint32(h, uint32(s.name))
		le.PutUint32(h[4:], uint32(s.kind))
		le.PutUint64(h[24:], uint64(s.from))
		le.PutUint64(h[32:], uint64(s.size))
		file = append(file, h...)
	}
	return file
}

// assembly makes a PE file; with a name, one of .NET with a version resource.
func assembly(name, version string) []byte {
	le := binary.LittleEndian
	var resources []byte
	for _, s := range []string{"OriginalFilename", name, "ProductVersion", version} {
		for _, c := range utf16.Encode([]rune(s + "\x00")) {
			resources = le.AppendUint16(resources, c)
		}
		for len(resources)%4 != 0 {
			resources = append(resources, 0)
		}
	}
	const at = 64 + 4 + 20 + 240 + 40
	file := make([]byte, at)
	copy(file, "MZ")
	le.PutUint32(file[0x3c:], 64)
	copy(file[64:], "PE\x00\x00")
	le.PutUint16(file[68:], 0x8664)
	le.PutUint16(file[70:], 1)      // sections
	le.PutUint16(file[84:], 240)    // size of the optional header
	le.PutUint16(file[88:], 0x20b)  // 64 bits
	le.PutUint32(file[88+108:], 16) // directories
	if name != "" {
		le.PutUint32(file[88+112+14*8:], 0x2000) // the common language runtime's
		le.PutUint32(file[88+112+14*8+4:], 72)
	}
	copy(file[88+240:], ".rsrc")
	le.PutUint32(file[88+240+8:], uint32(len(resources)))
	le.PutUint32(file[88+240+16:], uint32(len(resources)))
	le.PutUint32(file[88+240+20:], at)
	return append(file, resources...)
}
