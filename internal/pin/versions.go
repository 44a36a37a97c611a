package pin

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// Versions tells what to pin to. An error says, for people, why it cannot be
// told.
type Versions interface {
	// Digest returns what a reference such as "python:3.12" means: the digest
	// of the index where there is one, so that the file still builds for every
	// platform. platform is what FROM asks for, mostly "".
	Digest(ref, platform string) (touchstone.Digest, error)
	// Package returns the version of a package, as its tool writes it.
	Package(Query) (string, error)
}

// Query asks for the version of one package.
type Query struct {
	Tool  string // Pin.Tool: "apt", "pip"
	Name  string // as the tool's registry knows it; PyPI's normalised (PEP 503); for go the path of the command
	Final bool   // the stage becomes the image, so that the package should be found in it
}

// Built is what one image was really built from.
type Built struct {
	digest func(ref, platform string) (touchstone.Digest, error)
	found  map[string][]touchstone.Package // by purl type and name: "deb/curl"
	golang []touchstone.Package
}

// FromEvidence takes the versions from an image that was built from the file.
// Digests come from digest, which may be nil.
func FromEvidence(e *touchstone.Evidence, digest func(ref, platform string) (touchstone.Digest, error)) *Built {
	b := &Built{digest: digest, found: map[string][]touchstone.Package{}}
	for _, p := range e.Packages {
		kind := purlType(p.PURL)
		switch kind {
		case "golang":
			b.golang = append(b.golang, p)
			continue
		case "rpm":
			p.Version = withEpoch(p)
		}
		key := kind + "/" + registryName(kind, p.Name)
		b.found[key] = append(b.found[key], p)
	}
	return b
}

// Digest asks the function that was given.
func (b *Built) Digest(ref, platform string) (touchstone.Digest, error) {
	if b.digest == nil {
		return "", fmt.Errorf("no registry was asked for its digest")
	}
	return b.digest(ref, platform)
}

// Package looks the package up in the image. Packages of the system are only
// looked up for stages that become the image: another stage may stand on
// another release.
func (b *Built) Package(q Query) (string, error) {
	kind := purlOf(q.Tool)
	switch kind {
	case "":
		return "", fmt.Errorf("an image does not tell what %s took", q.Tool)
	case "golang":
		return b.command(q.Name)
	case "deb", "apk", "rpm":
		if !q.Final {
			return "", fmt.Errorf("its stage does not become the image, so the image does not tell its version; build with --target and pin from that")
		}
	}
	candidates := b.found[kind+"/"+registryName(kind, q.Name)]
	if kind == "npm" {
		candidates = installed(candidates, q.Name)
	}
	versions := versionsOf(candidates)
	switch len(versions) {
	case 0:
		return "", fmt.Errorf("%s is not in the image", q.Name)
	case 1:
		return versions[0], nil
	default:
		return "", fmt.Errorf("%s is in the image in several versions: %s", q.Name, strings.Join(versions, ", "))
	}
}

func versionsOf(list []touchstone.Package) []string {
	var out []string
	for _, p := range list {
		if p.Version != "" && !slices.Contains(out, p.Version) {
			out = append(out, p.Version)
		}
	}
	slices.Sort(out)
	return out
}

// installed leaves out what lies in the node_modules of another package, and
// prefers the global folder where the package is in both.
func installed(list []touchstone.Package, name string) []touchstone.Package {
	var top, global []touchstone.Package
	for _, p := range list {
		if strings.Count("/"+p.Path, "/node_modules/") > 1 {
			continue
		}
		top = append(top, p)
		if strings.Contains(p.Path, "lib/node_modules/"+name+"/") {
			global = append(global, p)
		}
	}
	if len(global) > 0 {
		return global
	}
	return top
}

// command finds the module of a Go command: the longest module path that
// begins the command's, in a binary of the command's name.
func (b *Built) command(name string) (string, error) {
	var best touchstone.Package
	for _, p := range b.golang {
		if (name == p.Name || strings.HasPrefix(name, p.Name+"/")) && len(p.Name) > len(best.Name) && path.Base(p.Path) == binaryName(name) {
			best = p
		}
	}
	switch v := strings.TrimPrefix(best.Version, "v"); {
	case best.Name == "":
		return "", fmt.Errorf("no binary of %s is in the image", name)
	case v == "" || v == "(devel)" || v == "devel":
		return "", fmt.Errorf("the binary of %s does not tell its version", name)
	default:
		return "v" + v, nil
	}
}

// binaryName is what go install calls a command: the last part of its path
// that is no major version (go help install).
func binaryName(name string) string {
	last := path.Base(name)
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" && path.Dir(name) != "." {
		return path.Base(path.Dir(name))
	}
	return last
}

// purlOf returns the type of package URL (purl-spec, "purl types") of what a
// tool installs.
func purlOf(tool string) string {
	switch tool {
	case "apt":
		return "deb"
	case "apk":
		return "apk"
	case "dnf", "dnf5", "yum", "microdnf", "tdnf", "zypper":
		return "rpm"
	case "pip", "uv", "pipx":
		return "pypi"
	case "npm", "yarn", "pnpm", "bun", "corepack":
		return "npm"
	case "go":
		return "golang"
	case "gem", "cargo", "composer":
		return tool
	}
	return ""
}

func purlType(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, "/")
	return kind
}

// registryName is the name that a package is looked up by.
func registryName(kind, name string) string {
	switch kind {
	case "pypi":
		return normalised(name)
	case "deb":
		name, _, _ = strings.Cut(name, ":") // the architecture
	case "composer":
		return strings.ToLower(name)
	}
	return name
}

// withEpoch puts the epoch of an rpm package before its version, where only
// its purl tells it: dnf takes "NAME-EPOCH:VERSION-RELEASE".
func withEpoch(p touchstone.Package) string {
	if strings.Contains(p.Version, ":") {
		return p.Version
	}
	_, query, _ := strings.Cut(p.PURL, "?")
	for _, q := range strings.Split(query, "&") {
		if epoch, ok := strings.CutPrefix(q, "epoch="); ok && epoch != "0" && epoch != "" {
			return epoch + ":" + p.Version
		}
	}
	return p.Version
}
