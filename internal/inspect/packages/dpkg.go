package packages

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"touchstone.dev/touchstone"
)

// readDpkg reads the status file of dpkg or opkg, or one of those that distroless
// images keep in status.d (deb-control(5), dpkg-query(1)).
func readDpkg(ctx context.Context, f *file) error {
	kind := "deb"
	if strings.Contains(f.Path, "lib/opkg/") {
		kind = "opkg"
	}
	return readControl(f.Content, dpkgField, func(s stanza) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !dpkgPresent(s["status"]) {
			return nil
		}
		name, version := s["package"], s["version"]
		if name == "" || version == "" {
			f.gap(touchstone.GapCorrupt, fmt.Sprintf("an installed package of name %q and version %q", name, version))
			return nil
		}
		if kind == "deb" && !ofDistribution(s) {
			f.result.Disowned = append(f.result.Disowned, dpkgLists(f.Path, name, s["architecture"])...)
		}
		source, sourceVersion := dpkgSource(s["source"])
		if source != "" && sourceVersion == "" {
			sourceVersion = version
		}
		return f.add(touchstone.Package{
			Name: name, Version: version, Source: source, SourceVersion: sourceVersion,
			PURL: purlOf(kind, "", name, version, "arch", s["architecture"]),
		})
	})
}

func dpkgField(name string) bool {
	switch name {
	case "package", "version", "status", "source", "architecture", "maintainer", "original-maintainer":
		return true
	}
	return false
}

// dpkgPresent reports whether the status means that files of the package are
// there. What is half installed or waits for a trigger is; distroless images write
// no status at all.
func dpkgPresent(status string) bool {
	words := strings.Fields(status)
	if len(words) == 0 {
		return true
	}
	switch words[len(words)-1] {
	case "not-installed", "config-files":
		return false
	}
	return true
}

// dpkgSource cuts a Source field: "name" or "name (version)".
func dpkgSource(field string) (name, version string) {
	name, rest, ok := strings.Cut(field, "(")
	if !ok {
		return strings.TrimSpace(field), ""
	}
	version, _, _ = strings.Cut(rest, ")")
	return strings.TrimSpace(name), strings.TrimSpace(version)
}

// ofDistribution reports whether the distribution itself built the package, as
// its maintainer's address tells. A few of Debian's maintainers use an address of
// their own; what their packages own is then counted twice rather than never.
func ofDistribution(s stanza) bool {
	if s["original-maintainer"] != "" { // Ubuntu, on what came from Debian
		return true
	}
	_, domain, _ := strings.Cut(s["maintainer"], "@")
	domain = strings.TrimRight(domain, "> ")
	for _, d := range [...]string{"debian.org", "debian.net", "ubuntu.com", "canonical.com", "kali.org", "raspberrypi.com", "raspbian.org"} {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	return false
}

// dpkgLists returns where the files of a package may be listed. Packages of
// several architectures have theirs in the name of the list.
func dpkgLists(statusPath, name, architecture string) []string {
	if strings.Contains(statusPath, "/status.d/") {
		return []string{statusPath + ".md5sums"}
	}
	return []string{"var/lib/dpkg/info/" + name + ".list", "var/lib/dpkg/info/" + name + ":" + architecture + ".list"}
}

// readDpkgList reads the list of a package's files: one absolute path on a line, a
// folder before what lies in it.
func readDpkgList(ctx context.Context, f *file) error {
	last := ""
	err := eachLine(ctx, f.Content, func(line string) error {
		// A folder is not owned alone.
		if last != "" && !strings.HasPrefix(line, last+"/") {
			if err := f.own(last); err != nil {
				return err
			}
		}
		last = line
		return nil
	})
	if err == nil && last != "" {
		err = f.own(last)
	}
	return err
}

// readDpkgSums reads the checksums that distroless images keep beside a package's
// status: a checksum and a path without a leading slash.
func readDpkgSums(ctx context.Context, f *file) error {
	return eachLine(ctx, f.Content, func(line string) error {
		if _, p, ok := strings.Cut(line, "  "); ok {
			return f.own(path.Clean("/" + p))
		}
		return nil
	})
}

// eachLine calls yield with every line that is not empty.
func eachLine(ctx context.Context, r io.Reader, yield func(line string) error) error {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line != "" {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := yield(line); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
