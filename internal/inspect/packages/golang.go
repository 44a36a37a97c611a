package packages

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gosym"
)

// readGo reads what the linker wrote into a Go program: the modules, the version
// of Go and, by package gosym, the functions. A file that is no Go program has
// nothing to tell.
func readGo(_ context.Context, f *file) error {
	info, err := buildinfo.Read(f.Content)
	if err != nil {
		if packed(f.Content) {
			return fmt.Errorf("%w: a program packed by UPX, so that nothing in it can be read", errUnsupported)
		}
		// Without build information there are no versions. That the functions are
		// there tells a Go program from any other.
		if pkgs, symErr := gosym.Packages(f.Content); symErr == nil && len(pkgs) > 0 {
			return fmt.Errorf("%w: a Go program without build information, so its modules are unknown", errUnsupported)
		}
		return nil
	}
	if err := addToolchain(f, info); err != nil {
		return err
	}
	if err := addModules(f, info); err != nil {
		return err
	}
	set, err := gosym.Read(f.Content)
	if err == nil {
		f.result.Symbols = set.Encode()
	}
	return nil // unknown symbols count as present
}

// packed reports whether UPX has packed the program: its header, with these
// letters, follows the program headers (upx, src/include/linux.h, l_info).
func packed(content io.ReaderAt) bool {
	var head [1024]byte
	n, _ := content.ReadAt(head[:], 0) // a shorter program is shorter
	return bytes.Contains(head[:n], []byte("UPX!"))
}

// addToolchain adds the standard library, which the Go vulnerability database
// calls stdlib, in the version of the toolchain; and where the program is a part of
// the toolchain (cmd/go, cmd/link), what the database calls toolchain.
func addToolchain(f *file, info *debug.BuildInfo) error {
	v, ok := goVersion(info.GoVersion)
	if !ok {
		f.gap(touchstone.GapUnsupported, fmt.Sprintf("built by an unreleased Go (%q), so the version of its standard library is unknown", info.GoVersion))
	}
	names := []string{"stdlib"}
	if strings.HasPrefix(info.Path, "cmd/") {
		names = append(names, "toolchain")
	}
	for _, name := range names {
		if err := f.add(touchstone.Package{Name: name, Version: v, Ecosystem: "Go", PURL: purlOf("golang", "", name, v)}); err != nil {
			return err
		}
	}
	return nil
}

// goVersion returns a release of Go as a semantic version, as the Go vulnerability
// database orders them: "go1.21" is 1.21.0, "go1.21rc2" is 1.21.0-rc.2. What
// follows the release (experiments, "-fips" and the like of vendors) is left out.
func goVersion(s string) (string, bool) {
	s, _, _ = strings.Cut(s, " ")
	s, ok := strings.CutPrefix(s, "go")
	if !ok {
		return "", false
	}
	s, _, _ = strings.Cut(s, "-")
	s, _, _ = strings.Cut(s, "+")
	number, pre := s, ""
	for _, word := range [...]string{"beta", "rc"} {
		if before, after, found := strings.Cut(s, word); found {
			number, pre = before, "-"+word+"."+after
		}
	}
	parts := strings.Split(number, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return "", false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return "", false
		}
	}
	if len(parts) == 2 {
		number += ".0"
	}
	return number + pre, true
}

// addModules adds the modules that went into the program. A main module that was
// built from a working copy has the version "(devel)", which no advisory can fit.
func addModules(f *file, info *debug.BuildInfo) error {
	modules := info.Deps
	if info.Main.Path != "" {
		modules = append([]*debug.Module{&info.Main}, modules...)
	}
	for _, m := range modules {
		if m.Replace != nil && m.Replace.Path != "" {
			if isLocal(m.Replace.Path) {
				// Code from a folder: only the path that it stands for is known.
				m = &debug.Module{Path: m.Path, Version: m.Version}
			} else {
				m = m.Replace
			}
		}
		if m.Path == "" {
			continue
		}
		version := strings.TrimPrefix(m.Version, "v")
		named := m.Version
		if version == "(devel)" {
			named = ""
		}
		if err := f.add(touchstone.Package{Name: m.Path, Version: version, Ecosystem: "Go", PURL: purlOfPath("golang", m.Path, named)}); err != nil {
			return err
		}
	}
	if len(modules) > 0 {
		return nil
	}
	if foreign := foreignPackages(f); len(foreign) > 0 {
		return fmt.Errorf("%w: a Go program that was built without modules, so the versions of its %d foreign packages (%s, …) are unknown", errUnsupported, len(foreign), foreign[0])
	}
	return nil
}

// isLocal reports whether a replacement is a folder (go.mod reference, "replace").
func isLocal(path string) bool {
	return strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") || strings.HasPrefix(path, "/")
}

// foreignPackages returns the packages in the program that are neither its own nor
// of the standard library, whose paths have no dot in their first element. What
// the toolchain's own programs are built from lies below cmd/vendor; a few of its
// symbols lack that beginning.
func foreignPackages(f *file) []string {
	all, err := gosym.Packages(f.Content)
	if err != nil {
		return nil
	}
	var foreign []string
	for _, p := range all {
		first, _, _ := strings.Cut(p, "/")
		if !strings.Contains(first, ".") || first == p {
			continue
		}
		if _, vendored := slices.BinarySearch(all, "cmd/vendor/"+p); !vendored {
			foreign = append(foreign, p)
		}
	}
	return foreign
}
