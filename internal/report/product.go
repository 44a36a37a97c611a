package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"touchstone.dev/touchstone"
)

// productPURL names the artifact itself: pkg:oci/NAME@DIGEST for an image
// (package-url, type "oci"), pkg:generic for anything else.
func productPURL(a *touchstone.Artifact) string {
	repo := repository(a.Label())
	name := repo[strings.LastIndexByte(repo, '/')+1:]
	if name == "" || strings.HasPrefix(name, "sha256") {
		name = "artifact"
	}
	if a.Kind != touchstone.KindImage {
		return packageurl.NewPackageURL(packageurl.TypeGeneric, "", name, string(a.Digest), nil, "").ToString()
	}
	var q packageurl.Qualifiers
	add := func(key, value string) {
		if value != "" {
			q = append(q, packageurl.Qualifier{Key: key, Value: value})
		}
	}
	if _, arch, found := strings.Cut(a.Platform, "/"); found {
		add("arch", arch)
	}
	if a.Name != "" {
		add("repository_url", strings.ToLower(repo))
	}
	if tag, found := strings.CutPrefix(strings.TrimPrefix(a.Name, repo), ":"); found {
		tag, _, _ = strings.Cut(tag, "@")
		add("tag", tag)
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(name), string(a.Digest), q, "").ToString()
}

// references gives each package of the check a name within a document, the same
// in every run.
type references struct {
	of   []string             // for each package, in order
	find map[[2]string]string // by purl and path
	seen map[string]int
}

func refer(packages []touchstone.Package) *references {
	r := &references{find: map[[2]string]string{}, seen: map[string]int{}}
	for i := range packages {
		p := &packages[i]
		name := hashed(p.PURL, p.Name, p.Version, p.Path)
		r.seen[name]++
		if n := r.seen[name]; n > 1 {
			name = fmt.Sprintf("%s-%d", name, n)
		}
		r.of = append(r.of, name)
		if _, there := r.find[[2]string{p.PURL, p.Path}]; !there {
			r.find[[2]string{p.PURL, p.Path}] = name
		}
	}
	return r
}

// hashed is a short name for what the parts say together.
func hashed(parts ...string) string { return fingerprint(parts) }

// uuid makes a UUID of version 8 (RFC 9562, 5.8) from what a document says, so
// that the same check gives the same document.
func uuid(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// documentID names a document by all that it is made from.
func documentID(kind string, c *touchstone.Check) string {
	parts := []string{kind, c.Tool, c.Artifact.Name, c.Artifact.Source, string(c.Artifact.Digest), instant(moment(c))}
	for i := range c.Layers {
		parts = append(parts, string(c.Layers[i].DiffID))
	}
	for _, d := range c.Decisions() {
		parts = append(parts, d.Place.Environment, string(d.Inputs.Index), string(d.Inputs.Rules))
	}
	return uuid(parts...)
}

// instant writes a moment for machines; "" when there is none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// advisoryURL is where people read about a vulnerability.
func advisoryURL(id string) string { return "https://osv.dev/vulnerability/" + relativeURI(id) }

// authority says who gave a vulnerability its id.
func authority(id string) string {
	prefix, _, found := strings.Cut(id, "-")
	if !found {
		return "OSV"
	}
	return prefix
}
