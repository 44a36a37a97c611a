package packages

import (
	"bytes"
	"compress/zlib"
	"context"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"fmt"
	"io"

	"touchstone.dev/touchstone"
)

// cargoSection is where cargo-auditable puts the list of crates: JSON, compressed
// with zlib (rust-secure-code/cargo-auditable, PARSING.md).
const cargoSection = ".dep-v0"

// maxCrates bounds the list, packed or not; that of a large program has 100 kB.
const maxCrates = 8 << 20

// readCargo reads which crates a Rust program was built from. Those that only the
// build needed are not in it.
func readCargo(_ context.Context, f *file) error {
	section, size := findCargo(f.Content)
	if section == nil {
		return nil
	}
	if size > maxCrates {
		return fmt.Errorf("%w: a list of crates of %d bytes", errLimit, size)
	}
	z, err := zlib.NewReader(io.LimitReader(section, int64(size)))
	if err != nil {
		return fmt.Errorf("unpack the list of crates: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(z, maxCrates+1))
	if err != nil {
		return fmt.Errorf("unpack the list of crates: %w", err)
	}
	if len(content) > maxCrates {
		return fmt.Errorf("%w: the list of crates unpacks to more than %d bytes", errLimit, maxCrates)
	}
	var list struct {
		Packages []struct{ Name, Version, Kind string }
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return fmt.Errorf("parse the list of crates: %w", err)
	}
	for _, p := range list.Packages {
		if p.Kind == "build" {
			continue
		}
		if p.Name == "" || p.Version == "" {
			f.gap(touchstone.GapCorrupt, fmt.Sprintf("a crate of name %q and version %q", p.Name, p.Version))
			continue
		}
		if err := f.add(touchstone.Package{Name: p.Name, Version: p.Version, Ecosystem: "crates.io", PURL: purlOf("cargo", "", p.Name, p.Version)}); err != nil {
			return err
		}
	}
	return nil
}

// findCargo returns the section as it lies in the file, nil where there is none.
func findCargo(r io.ReaderAt) (section io.Reader, size uint64) {
	head := make([]byte, 4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, 0
	}
	switch {
	case string(head) == elf.ELFMAG:
		if f, err := elf.NewFile(r); err == nil {
			if s := f.Section(cargoSection); s != nil && s.Type != elf.SHT_NOBITS {
				return io.NewSectionReader(r, int64(s.Offset), int64(min(s.FileSize, maxCrates+1))), s.FileSize
			}
		}
	case bytes.HasPrefix(head, []byte("MZ")):
		if f, err := pe.NewFile(r); err == nil {
			if s := f.Section(cargoSection); s != nil {
				return s.Open(), uint64(s.Size)
			}
		}
	default:
		if f, err := macho.NewFile(r); err == nil {
			if s := f.Section(cargoSection); s != nil {
				return s.Open(), s.Size
			}
		}
	}
	return nil, 0
}
