package packages

import (
	"bytes"
	"context"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"touchstone.dev/touchstone"
)

// readDotnetPE reads the version resource of a .NET assembly. Its product version
// is that of the NuGet package, while the version of the assembly itself often is
// not (Newtonsoft.Json 13.0.3 has assembly version 13.0.0.0). Programs for Windows
// that are not .NET are no package of anything.
func readDotnetPE(_ context.Context, f *file) error {
	p, err := pe.NewFile(f.Content)
	if err != nil {
		if strings.HasSuffix(f.Path, ".dll") {
			return fmt.Errorf("read the assembly: %w", err)
		}
		return nil // the two letters may begin anything
	}
	if !isManaged(p) {
		return nil
	}
	resources := p.Section(".rsrc")
	if resources == nil {
		return nil
	}
	if resources.Size > maxMetadata {
		return fmt.Errorf("%w: %d bytes of resources", errLimit, resources.Size)
	}
	content := make([]byte, resources.Size)
	n, err := resources.ReadAt(content, 0)
	if err != nil && n == 0 && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the assembly's resources: %w", err)
	}
	name := versionString(content[:n], "OriginalFilename")
	if name == "" {
		name = versionString(content[:n], "InternalName")
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".dll"), ".exe")
	version := numbered(versionString(content[:n], "ProductVersion"))
	if version == "" {
		version = numbered(versionString(content[:n], "FileVersion"))
	}
	if name == "" || version == "" || version == "0.0.0.0" {
		return nil // an assembly need not say what it is
	}
	return f.add(touchstone.Package{Name: name, Version: version, Ecosystem: "NuGet", PURL: purlOf("nuget", "", name, version)})
}

// isManaged reports whether the program has a header of the common language
// runtime (ECMA-335, II.25.3.3).
func isManaged(p *pe.File) bool {
	const clr = 14
	switch h := p.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		return h.NumberOfRvaAndSizes > clr && h.DataDirectory[clr].VirtualAddress != 0
	case *pe.OptionalHeader64:
		return h.NumberOfRvaAndSizes > clr && h.DataDirectory[clr].VirtualAddress != 0
	}
	return false
}

// versionString returns the value of a key of the version resource: UTF-16 text
// after the key, its terminator and what aligns it to four bytes.
func versionString(resources []byte, key string) string {
	var pattern []byte
	for _, c := range utf16.Encode([]rune(key + "\x00")) {
		pattern = binary.LittleEndian.AppendUint16(pattern, c)
	}
	at := bytes.Index(resources, pattern)
	if at < 0 {
		return ""
	}
	rest := resources[at+len(pattern):]
	if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
		rest = rest[2:]
	}
	var text []uint16
	for ; len(rest) >= 2 && len(text) < 256; rest = rest[2:] {
		c := binary.LittleEndian.Uint16(rest)
		if c == 0 {
			break
		}
		text = append(text, c)
	}
	return strings.TrimSpace(string(utf16.Decode(text)))
}

// numbered returns the version without what follows it ("+commit", " built by").
func numbered(version string) string {
	version, _, _ = strings.Cut(version, "+")
	version, _, _ = strings.Cut(version, " ")
	version = strings.TrimPrefix(version, "v")
	if version == "" || version[0] < '0' || version[0] > '9' {
		return ""
	}
	return version
}
