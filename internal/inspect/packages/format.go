package packages

import (
	"encoding/binary"
	"strings"
)

// format is one form in which a file tells of installed software.
type format int

const (
	formatDpkg format = iota
	formatDpkgList
	formatDpkgSums
	formatApk
	formatRpm
	formatRpmLog
	formatPacman
	formatPacmanFiles
	formatPortage
	formatPortageList
	formatChisel
	formatCOS
	formatSnap
	formatFlatpak
	formatHomebrew
	formatNix
	formatSpack
	formatGo
	formatCargo
	formatNPM
	formatPython
	formatEgg
	formatConda
	formatJava
	formatGem
	formatComposer
	formatDotnetDeps
	formatDotnetPE
	formatR
	formatCPAN
	formatLuaRocks
	formatOpam
	formatNimble
	formatWordPress

	formats // how many there are
)

// set is a set of formats, one bit for each.
type set uint64

func (s *set) add(f format) { *s |= 1 << f }

// formatsOf returns the formats that the file may be of, judged by its path and
// first bytes. It is asked about every file of an image, so it looks at the magic
// number, the last element of the path and its extension, and at the rest of the
// path only where these fit.
func formatsOf(path string, size int64, head []byte) (s set) {
	s.byMagic(head)
	if beginsAsJar(head) {
		s.add(formatJava)
	}
	slash := strings.LastIndexByte(path, '/')
	dir, base := "", path
	if slash >= 0 {
		dir, base = path[:slash], path[slash+1:]
	}
	s.byName(path, dir, base, size)
	if dot := strings.LastIndexByte(base, '.'); dot >= 0 {
		s.byExtension(dir, base, base[dot:], head)
	}
	if strings.HasPrefix(dir, "nix/store/") && strings.Count(dir, "/") <= 3 {
		// One file proves a package of Nix, and every one has some this high up.
		s.add(formatNix)
	}
	if dir == "var/lib/dpkg/status.d" {
		if strings.HasSuffix(base, ".md5sums") {
			s.add(formatDpkgSums)
		} else if !strings.HasSuffix(base, ".preinst") && !strings.HasSuffix(base, ".postinst") {
			s.add(formatDpkg)
		}
	}
	return s
}

// byMagic finds programs and libraries, whatever their name and mode.
func (s *set) byMagic(head []byte) {
	if len(head) < 8 {
		return
	}
	switch {
	case string(head[:4]) == "\x7fELF":
		// Object files (kernel modules, archives' members) are no programs.
		if len(head) >= 18 && (head[16] == 1 && head[17] == 0 || head[16] == 0 && head[17] == 1) {
			return
		}
	case head[0] == 'M' && head[1] == 'Z':
		s.add(formatDotnetPE)
	case string(head[1:4]) == "\xfa\xed\xfe", string(head[:3]) == "\xfe\xed\xfa": // Mach-O
	case string(head[:4]) == "\xca\xfe\xba\xbe" && binary.BigEndian.Uint32(head[4:]) < 40:
		// Several Mach-O in one. A Java class begins alike, with a version
		// from 45 on.
	default:
		return
	}
	s.add(formatGo)
	s.add(formatCargo)
}

func (s *set) byName(path, dir, base string, size int64) {
	switch base {
	case "status":
		if dir == "var/lib/dpkg" || dir == "usr/lib/opkg" || dir == "var/lib/opkg" {
			s.add(formatDpkg)
		}
	case "installed":
		if dir == "lib/apk/db" || dir == "usr/lib/apk/db" || dir == "var/lib/apk/db" {
			s.add(formatApk)
		}
	case "Packages", "Packages.db", "rpmdb.sqlite":
		if isRpmDir(dir) {
			s.add(formatRpm)
		}
	case "rpmdb.sqlite-wal":
		if isRpmDir(dir) && size > 0 {
			s.add(formatRpmLog)
		}
	case "desc":
		if strings.HasPrefix(dir, "var/lib/pacman/local/") {
			s.add(formatPacman)
		}
	case "files":
		if strings.HasPrefix(dir, "var/lib/pacman/local/") {
			s.add(formatPacmanFiles)
		}
	case "PF":
		if strings.HasPrefix(dir, "var/db/pkg/") {
			s.add(formatPortage)
		}
	case "CONTENTS":
		if strings.HasPrefix(dir, "var/db/pkg/") {
			s.add(formatPortageList)
		}
	case "manifest.wall":
		if dir == "var/lib/chisel" {
			s.add(formatChisel)
		}
	case "cos-package-info.json":
		if dir == "etc" {
			s.add(formatCOS)
		}
	case "snap.yaml":
		if strings.HasPrefix(dir, "snap/") && strings.HasSuffix(dir, "/meta") && strings.Count(dir, "/") == 3 {
			s.add(formatSnap)
		}
	case "spec.json":
		if strings.HasSuffix(dir, "/.spack") {
			s.add(formatSpack)
		}
	case "INSTALL_RECEIPT.json":
		if strings.Contains(dir, "/Cellar/") {
			s.add(formatHomebrew)
		}
	default:
		s.byLanguageName(path, dir, base)
	}
}

func (s *set) byLanguageName(path, dir, base string) {
	switch base {
	case "package.json":
		s.add(formatNPM)
	case "METADATA":
		if strings.HasSuffix(dir, ".dist-info") {
			s.add(formatPython)
		}
	case "PKG-INFO":
		if strings.HasSuffix(dir, ".egg-info") || dir == "EGG-INFO" || strings.HasSuffix(dir, "/EGG-INFO") {
			s.add(formatPython)
		}
	case "installed.json":
		if strings.HasSuffix(dir, "/composer") {
			s.add(formatComposer)
		}
	case "DESCRIPTION":
		if above := parent(dir); strings.HasSuffix(above, "/library") || strings.HasSuffix(above, "/site-library") {
			s.add(formatR)
		}
	case "META.json", "META.yml":
		if strings.Contains(dir, "/.cpan") {
			s.add(formatCPAN)
		}
	default:
		if strings.HasSuffix(path, ".opam-switch/install") {
			s.add(formatOpam)
		}
	}
}

func (s *set) byExtension(dir, base, extension string, head []byte) {
	switch extension {
	case ".list":
		if dir == "var/lib/dpkg/info" {
			s.add(formatDpkgList)
		}
	case ".egg-info":
		s.add(formatPython)
	case ".egg":
		if isZip(head) {
			s.add(formatEgg)
		}
	case ".json":
		if dir == "conda-meta" || strings.HasSuffix(dir, "/conda-meta") {
			s.add(formatConda)
		}
		if strings.HasSuffix(base, ".deps.json") {
			s.add(formatDotnetDeps)
		}
	case ".gemspec":
		// Other gemspecs lie in sources, and prove no installation.
		above := parent(dir)
		if strings.HasSuffix(dir, "/specifications") || strings.HasSuffix(dir, "/specifications/default") || strings.HasSuffix(above, "/bundler/gems") {
			s.add(formatGem)
		}
	case ".rockspec":
		if elements := strings.Split(dir, "/"); len(elements) >= 3 && strings.HasPrefix(elements[len(elements)-3], "rocks-") {
			s.add(formatLuaRocks)
		}
	case ".nimble":
		if strings.Contains(dir, "/pkgs/") || strings.Contains(dir, "/pkgs2/") {
			s.add(formatNimble)
		}
	case ".php":
		if strings.HasSuffix(parent(dir), "wp-content/plugins") {
			s.add(formatWordPress)
		}
	case ".xml":
		if strings.HasSuffix(base, "metainfo.xml") && strings.Contains(dir, "flatpak/app/") && strings.HasSuffix(dir, "/export/share/metainfo") {
			s.add(formatFlatpak)
		}
	case ".jar", ".war", ".ear":
		// A program may stand before the archive (Spring Boot's executable jars),
		// so the first bytes say nothing.
		if len(head) > 0 {
			s.add(formatJava)
		}
	default:
		if isZip(head) && isJavaExtension(extension) {
			s.add(formatJava)
		}
	}
}

// isJavaExtension reports whether archives of Java have the extension, in any
// case.
func isJavaExtension(extension string) bool {
	switch strings.ToLower(extension) {
	case ".jar", ".war", ".ear", ".jmod", ".par", ".sar", ".jpi", ".hpi", ".lpkg", ".nar":
		return true
	}
	return false
}

// beginsAsJar reports whether an archive begins with META-INF, as the jar tool
// writes it (jar file specification, "The META-INF directory"): Java runs it
// whatever its name. A local file header has its name at byte 30.
func beginsAsJar(head []byte) bool {
	const name = 30
	return isZip(head) && len(head) > name && strings.HasPrefix(string(head[name:]), "META-INF/")
}

func isZip(head []byte) bool { return len(head) >= 4 && string(head[:2]) == "PK" }

func isRpmDir(dir string) bool {
	return dir == "var/lib/rpm" || dir == "usr/lib/sysimage/rpm" || dir == "usr/share/rpm"
}

// parent returns the folder that the folder lies in.
func parent(dir string) string {
	slash := strings.LastIndexByte(dir, '/')
	if slash < 0 {
		return ""
	}
	return dir[:slash]
}

// Keeps reports whether the file is one that readers look at while they read
// another in the same layer, so that it must be in Input.FS. size is in bytes;
// no file above 64 KiB is kept.
func (r *Readers) Keeps(path string, size int64) bool {
	// A gem from a git repository may have its version in a file of its own.
	return size <= 64<<10 && strings.HasSuffix(path, "/version.rb") && strings.Contains(path, "/bundler/gems/")
}
