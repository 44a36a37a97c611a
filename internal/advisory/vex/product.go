package vex

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"touchstone.dev/touchstone"
)

// component identifies something by any of several means.
type component struct {
	ids    []string // purls, image names or digests
	hashes []string // SHA-256 in hexadecimal
	cpe    string   // of a distribution's release
}

// product is what a statement is about: a component, or some of the parts of
// one.
type product struct {
	component
	parts []component
}

// is reports whether the product is the package in the artifact.
func (p *product) is(a *touchstone.Artifact, pkg *touchstone.PackageRef) bool {
	if p.isArtifact(a) || p.isRelease(pkg.Ecosystem) {
		if len(p.parts) == 0 {
			// A whole distribution is no product that anybody can speak for.
			return p.isArtifact(a)
		}
		for i := range p.parts {
			if p.parts[i].isPackage(pkg) {
				return true
			}
		}
		return false
	}
	// Of a product that is neither, nobody knows here whether its parts are the
	// ones that the artifact has.
	return len(p.parts) == 0 && p.isPackage(pkg)
}

// isArtifact reports whether the component is the image: by its name, by a
// digest, or by a purl of type oci or docker.
func (c *component) isArtifact(a *touchstone.Artifact) bool {
	for _, h := range c.hashes {
		if d := touchstone.Digest("sha256:" + strings.ToLower(h)); d.Valid() && (d == a.Digest || d == a.Index) {
			return true
		}
	}
	for _, id := range c.ids {
		if strings.HasPrefix(id, "pkg:") {
			if purlIsImage(id, a) {
				return true
			}
			continue
		}
		if d := touchstone.Digest(id); d.Valid() && (d == a.Digest || d == a.Index) {
			return true
		}
		if a.Name != "" && id == a.Name {
			return true
		}
	}
	return false
}

// purlIsImage compares a purl such as
// pkg:oci/cart@sha256:…?repository_url=registry.example/shop/cart with an image.
func purlIsImage(text string, a *touchstone.Artifact) bool {
	p, err := packageurl.FromString(text)
	if err != nil || p.Type != packageurl.TypeOCI && p.Type != packageurl.TypeDocker {
		return false
	}
	qualifiers := p.Qualifiers.Map()
	digest := touchstone.Digest(p.Version)
	if digest.Valid() && digest != a.Digest && digest != a.Index {
		return false
	}
	repository, tag := split(a.Name)
	url := strings.TrimSuffix(qualifiers["repository_url"], "/")
	switch {
	case url != "" && url != repository && url+"/"+p.Name != repository:
		return false
	case url == "" && !digest.Valid():
		// The last part of a name alone says too little of an image.
		if p.Namespace == "" || !strings.HasSuffix("/"+repository, "/"+p.Namespace+"/"+p.Name) {
			return false
		}
	}
	if t := qualifiers["tag"]; t != "" && !digest.Valid() && t != tag {
		return false
	}
	if p.Version != "" && !digest.Valid() && p.Version != tag {
		return false
	}
	return true
}

// split cuts an image reference into repository and tag.
func split(name string) (repository, tag string) {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// isRelease reports whether the component is the distribution that a package is
// of, by a CPE such as cpe:/o:redhat:enterprise_linux:9.
func (c *component) isRelease(ecosystem string) bool {
	family, have, _ := strings.Cut(ecosystem, ":")
	_, want, ok := strings.Cut(c.cpe, ":redhat:")
	if family != "Red Hat" || !ok {
		return false
	}
	product, rest, _ := strings.Cut(want, ":")
	number, _, _ := strings.Cut(rest, ":")
	if !strings.Contains(have, ":") {
		have = "enterprise_linux:" + have
	}
	haveProduct, haveRest, _ := strings.Cut(have, ":")
	haveNumber, _, _ := strings.Cut(haveRest, ":")
	major, _, _ := strings.Cut(haveNumber, ".")
	return product == haveProduct && number != "" && (number == haveNumber || number == major)
}

// isPackage reports whether the component is the package: every part of its purl
// that is there must agree.
func (c *component) isPackage(pkg *touchstone.PackageRef) bool {
	have, err := packageurl.FromString(pkg.PURL)
	if err != nil {
		return false
	}
	for _, id := range c.ids {
		want, err := packageurl.FromString(id)
		if err != nil || want.Type != have.Type || want.Namespace != have.Namespace || want.Name != have.Name {
			continue
		}
		if want.Version != "" && want.Version != have.Version && want.Version != pkg.Version {
			continue
		}
		known := have.Qualifiers.Map()
		agrees := true
		for k, v := range want.Qualifiers.Map() {
			agrees = agrees && known[k] == v
		}
		if agrees {
			return true
		}
	}
	return false
}
