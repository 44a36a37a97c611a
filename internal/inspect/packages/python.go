package packages

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"touchstone.dev/touchstone"
)

// readPython reads the metadata of an installed Python distribution: METADATA of a
// wheel, PKG-INFO or .egg-info of an egg (packaging.python.org, "Core metadata").
// Wheels that lie about are not installed and not read.
func readPython(_ context.Context, f *file) error {
	return readCoreMetadata(f, f.Content)
}

func readCoreMetadata(f *file, r io.Reader) error {
	found := false
	err := readControl(r, func(name string) bool {
		switch name {
		case "name", "version", "license", "license-expression":
			return true
		}
		return false
	}, func(s stanza) error {
		found = true
		name, version := normalPython(s["name"]), s["version"]
		if name == "" || version == "" {
			return fmt.Errorf("core metadata with name %q and version %q", name, version)
		}
		licence := s["license-expression"]
		if licence == "" {
			licence = s["license"]
		}
		err := f.add(touchstone.Package{
			Name: name, Version: version, Ecosystem: "PyPI",
			PURL: purlOf("pypi", "", name, version), Licences: licences(licence),
		})
		if err != nil {
			return err
		}
		return errStop // what follows is the description
	})
	switch {
	case errors.Is(err, errStop):
		return nil
	case err == nil && !found && f.Size > 0:
		return errors.New("core metadata without a field")
	}
	return err
}

// normalPython returns the name as the index knows it (PEP 503): lower case,
// runs of "-", "_" and "." as one "-".
func normalPython(name string) string {
	var b strings.Builder
	dash := false
	for _, c := range strings.ToLower(name) {
		if c == '-' || c == '_' || c == '.' {
			dash = true
			continue
		}
		if dash && b.Len() > 0 {
			b.WriteByte('-')
		}
		dash = false
		b.WriteRune(c)
	}
	return b.String()
}

// readEgg reads an egg that was installed as an archive.
func readEgg(ctx context.Context, f *file) error {
	archive, err := openZip(f.Content, f.Size)
	if err != nil {
		return err
	}
	for _, entry := range archive.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.Name == "EGG-INFO/PKG-INFO" {
			return readEggInfo(f, entry)
		}
	}
	return errors.New("an egg without EGG-INFO/PKG-INFO")
}

func readEggInfo(f *file, entry *zip.File) error {
	r, err := entry.Open()
	if err != nil {
		return fmt.Errorf("open %s: %w", entry.Name, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	return readCoreMetadata(f, io.LimitReader(r, maxMetadata))
}

// readConda reads the record of a package that conda installed. OSV has no
// ecosystem of conda; what is a Python distribution too is found by its metadata.
func readConda(_ context.Context, f *file) error {
	content, err := f.bytes(maxJSON)
	if err != nil {
		return err
	}
	var p struct{ Name, Version, Build, License string }
	if err := json.Unmarshal(content, &p); err != nil {
		return fmt.Errorf("parse the record of conda: %w", err)
	}
	if p.Name == "" || p.Version == "" {
		return fmt.Errorf("a record of conda with name %q and version %q", p.Name, p.Version)
	}
	return f.add(touchstone.Package{
		Name: p.Name, Version: p.Version, Licences: licences(p.License),
		PURL: purlOf("conda", "", p.Name, p.Version, "build", p.Build),
	})
}
