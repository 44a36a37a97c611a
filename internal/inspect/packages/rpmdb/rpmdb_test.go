package rpmdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestHostile lets nothing of a garbled file through but errors.
func TestHostile(t *testing.T) {
	meta := make([]byte, 1024)
	binary.LittleEndian.PutUint32(meta[12:], berkeleyMagic)
	binary.LittleEndian.PutUint32(meta[20:], 512)
	meta[25] = pageHashMeta
	binary.LittleEndian.PutUint32(meta[32:], 1)
	// A hash page whose value lies on a chain that leads back to itself.
	loop := append(bytes.Clone(meta), make([]byte, 512)...)
	binary.LittleEndian.PutUint32(loop[32:], 2)
	page := loop[512:1024]
	page[25] = pageHash
	binary.LittleEndian.PutUint16(page[20:], 2)
	binary.LittleEndian.PutUint16(page[26:], 512-4)
	binary.LittleEndian.PutUint16(page[28:], 512-4-12)
	item := page[512-16:]
	item[0] = itemOffPage
	binary.LittleEndian.PutUint32(item[4:], 2)
	binary.LittleEndian.PutUint32(item[8:], maxHeader)
	over := loop[1024:]
	over[25] = pageOverflow
	binary.LittleEndian.PutUint32(over[16:], 2)
	binary.LittleEndian.PutUint16(over[22:], 512-pageHeader)

	truncated := bytes.Clone(meta)
	binary.LittleEndian.PutUint32(truncated[32:], 1<<31)

	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "neither"},
		{"text", []byte(strings.Repeat("hello ", 100)), "neither"},
		{"truncated", truncated, "outside the file"},
		{"a chain without end", loop, "again and again"},
		{"sqlite of zeros", append([]byte(sqliteMagic), make([]byte, 500)...), "page size"},
		{"ndb of zeros", append([]byte("RpmP"), make([]byte, 500)...), "pages of slots"},
	} {
		err := Each(context.Background(), bytes.NewReader(test.content), int64(len(test.content)), func([]byte) error { return nil })
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestEachEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	content := append([]byte("RpmP\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), make([]byte, 8192)...)
	if err := Each(ctx, bytes.NewReader(content), int64(len(content)), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSourceNameVersion(t *testing.T) {
	for source, want := range map[string][2]string{
		"bash-5.1.8-6.el9_1.src.rpm":         {"bash", "5.1.8-6.el9_1"},
		"java-11-openjdk-11.0.9-1.nosrc.rpm": {"java-11-openjdk", "11.0.9-1"},
		"":                                   {},
		"x.src.rpm":                          {},
		"-1-2.src.rpm":                       {},
	} {
		name, version := (&Package{Source: source}).SourceNameVersion()
		if got := [2]string{name, version}; got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

// FuzzEach feeds databases of garbage.
func FuzzEach(f *testing.F) {
	meta := make([]byte, 1024)
	binary.LittleEndian.PutUint32(meta[12:], berkeleyMagic)
	binary.LittleEndian.PutUint32(meta[20:], 512)
	meta[25] = pageHashMeta
	binary.LittleEndian.PutUint32(meta[32:], 1)
	f.Add(meta)
	f.Add(append([]byte("RpmP\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), bytes.Repeat([]byte("Slot\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 255)...))
	f.Add(smallSQLite())
	f.Fuzz(func(t *testing.T, content []byte) {
		_ = Each(context.Background(), bytes.NewReader(content), int64(len(content)), func(header []byte) error {
			if p, err := Parse(header); err == nil {
				for range p.Files {
				}
			}
			return nil
		})
	})
}

func FuzzParse(f *testing.F) {
	f.Add(smallHeader())
	f.Fuzz(func(t *testing.T, header []byte) {
		p, err := Parse(header)
		if err != nil {
			return
		}
		n := 0
		for range p.Files {
			n++
		}
		if n > len(header) {
			t.Errorf("%d files in %d bytes", n, len(header))
		}
		p.SourceNameVersion()
	})
}

// smallSQLite returns a database of two pages with one row.
func smallSQLite() []byte {
	db := make([]byte, 1024)
	copy(db, sqliteMagic)
	db[16] = 2 // 512
	leaf := func(page []byte, base int, row []byte) {
		page[base] = treeLeaf
		page[base+4] = 1
		at := 512 - len(row) - 2
		binary.BigEndian.PutUint16(page[base+8:], uint16(at))
		page[at], page[at+1] = byte(len(row)), 1
		copy(page[at+2:], row)
	}
	leaf(db[:512], 100, []byte("\x06\x17\x1d\x0d\x01\x0dtablePackages\x02"))
	header := smallHeader()
	leaf(db[512:], 0, append([]byte{3, 0, byte(12 + 2*len(header))}, header[:20]...))
	return db
}

// smallHeader returns a header with a name, a version and one file.
func smallHeader() []byte {
	data := []byte("bash\x00005.1\x00/bin/\x00\x00\x00\x00\x00")
	entries := []uint32{
		tagName, typeString, 0, 1,
		tagVersion, typeString, 5, 1,
		tagDirNames, typeStringArray, 11, 1,
		tagBaseNames, typeStringArray, 0, 1,
		tagDirIndexes, typeInt32, 17, 1,
	}
	var h []byte
	h = binary.BigEndian.AppendUint32(h, uint32(len(entries)/4))
	h = binary.BigEndian.AppendUint32(h, uint32(len(data)))
	for _, e := range entries {
		h = binary.BigEndian.AppendUint32(h, e)
	}
	return append(h, data...)
}

func TestParse(t *testing.T) {
	p, err := Parse(smallHeader())
	if err != nil {
		t.Fatal(err)
	}
	files := slices.Collect(p.Files)
	if p.Name != "bash" || p.Version != "005.1" || !slices.Equal(files, []string{"/bin/bash"}) {
		t.Errorf("%+v %q", p, files)
	}
}
