package inspect

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/surface"
)

// An image whose distribution is known and whose packages are not is no image
// without packages: its database was removed, emptied, replaced or put where
// only a link leads. What is not known is a gap.

// databases are the files in which package managers keep what is installed, and
// that are read where they lie.
func databases() []string {
	return []string{
		"var/lib/dpkg/status", "var/lib/opkg/status", "usr/lib/opkg/status",
		"lib/apk/db/installed", "usr/lib/apk/db/installed", "var/lib/apk/db/installed",
		"var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite",
		"usr/lib/sysimage/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite",
		"usr/share/rpm/Packages", "usr/share/rpm/Packages.db", "usr/share/rpm/rpmdb.sqlite",
	}
}

// databaseFolders are folders of which each file is a database of a package.
func databaseFolders() []string {
	return []string{"var/lib/dpkg/status.d", "var/lib/pacman/local", "var/db/pkg"}
}

// remnants are folders that only a package manager or its packages leave.
func remnants() []string {
	return []string{"var/lib/dpkg", "etc/dpkg", "usr/share/dpkg", "etc/apt", "lib/apk", "usr/lib/apk", "etc/apk", "var/lib/rpm", "usr/lib/rpm", "usr/lib/sysimage/rpm"}
}

// databaseGaps tells which packages of the distribution cannot be known.
func (m *merged) databaseGaps(os touchstone.OS, pkgs []touchstone.Package) []touchstone.Gap {
	var out []touchstone.Gap
	gap := func(kind touchstone.GapKind, path, reason string) {
		out = append(out, touchstone.Gap{Kind: kind, Path: path, Layer: -1, Reader: "packages", Reason: reason})
	}
	known := databases()
	for _, name := range known {
		at, ok := m.resolve(name)
		if !ok {
			continue
		}
		f, ok := m.Find(at)
		switch {
		case !ok || at == name && f.Kind == touchstone.FileRegular:
		case f.Kind != touchstone.FileRegular:
			gap(touchstone.GapCorrupt, name, "the package database is no file")
		case !slices.Contains(known, at):
			gap(touchstone.GapUnsupported, name, "the package database lies behind a link, at "+printable(at))
		}
	}
	for _, name := range databaseFolders() {
		if at, ok := m.resolve(name); ok && at != name {
			if _, ok := m.Find(at); ok {
				gap(touchstone.GapUnsupported, name, "the package database lies behind a link, at "+printable(at))
			}
		}
	}
	left := map[string]bool{} // by kind of package
	for i := range pkgs {
		if ofDistribution(&pkgs[i]) {
			left[kindOf(&pkgs[i])] = true
		}
	}
	if path, kind, ok := m.lostDatabase(left); ok {
		gap(touchstone.GapAbsent, path, "the database of "+kind+" packages of a lower layer is gone, and nobody knows what is installed")
	}
	if len(left) > 0 || len(out) > 0 {
		return out
	}
	if os != (touchstone.OS{}) {
		gap(touchstone.GapAbsent, os.Path, "the distribution "+printable(os.ID)+" has no package database that tells what is installed")
		return out
	}
	for _, name := range remnants() {
		if f, ok := m.Find(name); ok && f.Kind == touchstone.FileDir {
			gap(touchstone.GapAbsent, name, "there was a package manager, and there is no database that tells what is installed")
			break
		}
	}
	return out
}

// emptyGaps tells of a root file system without a byte in it: of a disk that is not
// mounted nothing is known.
func (run *inspection) emptyGaps(bytes int64) []touchstone.Gap {
	if run.artifact.Kind != touchstone.KindFilesystem || bytes > 0 {
		return nil
	}
	return []touchstone.Gap{{Kind: touchstone.GapAbsent, Layer: -1, Reader: "dir", Reason: "no file lies below the root; is it mounted?"}}
}

// lostDatabase finds a database of a layer of whose packages, and of whose kind,
// nothing is left in the artifact.
func (m *merged) lostDatabase(left map[string]bool) (path, kind string, lost bool) {
	for i := m.squash.base; i < len(m.squash.layers); i++ {
		l := m.squash.layers[i]
		for j := range l.record.Packages {
			if p := &l.record.Packages[j]; ofDistribution(p) && !left[kindOf(p)] {
				return p.Path, kindOf(p), true
			}
		}
	}
	return "", "", false
}

// ofDistribution reports whether the package manager that knows the package is
// one that whole systems are made with.
func ofDistribution(p *touchstone.Package) bool {
	return fromDatabase(p) && !slices.Contains([]string{"flatpak", "snap", "brew"}, kindOf(p))
}

// kindOf returns the type of the package's URL: "deb".
func kindOf(p *touchstone.Package) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	return kind
}

// maxUnnamed bounds how many installed things without their metadata are told.
const maxUnnamed = 50

// noteUnnamed notes an entry that proves an installed Python distribution
// (packaging.python.org, "Recording installed projects") whose name and version
// are to be found beside it.
func (m *merged) noteUnnamed(e *surface.Entry) {
	for _, proof := range [...]string{"RECORD", "WHEEL", "INSTALLER"} {
		dir, ok := strings.CutSuffix(e.Path, ".dist-info/"+proof)
		if !ok {
			continue
		}
		dir += ".dist-info"
		if n := len(m.unnamed); n > maxUnnamed || n > 0 && m.unnamed[n-1] == dir {
			return
		}
		if f, ok := m.Find(dir + "/METADATA"); !ok || f.Kind != touchstone.FileRegular {
			m.unnamed = append(m.unnamed, dir)
		}
	}
}

// unnamedGaps tells what noteUnnamed has found.
func (m *merged) unnamedGaps() []touchstone.Gap {
	var out []touchstone.Gap
	for _, dir := range m.unnamed {
		out = append(out, touchstone.Gap{Kind: touchstone.GapAbsent, Path: dir, Layer: -1, Reader: "packages",
			Reason: "an installed Python distribution without METADATA, so its name and version are unknown"})
	}
	return out
}
