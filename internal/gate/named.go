package gate

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/rules"
)

// named is a reference to an image in a registry, taken apart.
type named struct {
	repository string            // with the registry, "docker.io/library/alpine"
	tag        string            // empty where only a digest is given
	digest     touchstone.Digest // empty where only a tag is given
}

// longest is how many bytes a reference may have: a repository is at most 255
// long, a tag 128 and a digest 71 (OCI distribution-spec, "Pull").
const longest = 600

// parse takes a reference apart. It is always the name of an image in a
// registry: a server opens no file that a stranger names.
func parse(reference string) (named, error) {
	if len(reference) > longest {
		return named{}, fmt.Errorf("a reference of %d bytes is no image's name", len(reference))
	}
	if _, err := name.ParseReference(reference); err != nil {
		return named{}, fmt.Errorf("%s is not the name of an image", rules.Printable(reference))
	}
	full := oci.FullName(reference)
	rest, digest, byDigest := strings.Cut(full, "@")
	n := named{repository: rest, digest: touchstone.Digest(digest)}
	if byDigest && !n.digest.Valid() {
		return named{}, fmt.Errorf("%s: the digest is no SHA-256; others are not supported", rules.Printable(reference))
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		n.repository, n.tag = rest[:colon], rest[colon+1:]
	}
	if !wellFormed(n.repository) {
		return named{}, fmt.Errorf("%s is not the name of an image", rules.Printable(reference))
	}
	return n, nil
}

// wellFormed reports whether a repository is a registry and a path as the
// distribution-spec ("Pull") has them. Others read it more leniently, and so
// "../x" as x of the registry "..".
func wellFormed(repository string) bool {
	host, path, _ := strings.Cut(repository, "/")
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		port := host[colon+1:]
		if host = host[:colon]; port == "" || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if host = strings.Trim(host, "[]"); !bounded(strings.ToLower(host)) && !strings.Contains(host, ":") {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if !bounded(part) || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return false
		}
	}
	return true
}

// bounded reports whether a part begins and ends with a letter or digit.
func bounded(part string) bool {
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	return part != "" && alnum(part[0]) && alnum(part[len(part)-1])
}

// name is what rules about names judge: with the tag where there is one, so that
// a pod whose reference was completed with a digest is judged as before.
func (n named) name() string {
	if n.tag != "" {
		return n.repository + ":" + n.tag
	}
	return n.repository + "@" + string(n.digest)
}

// pinned is the reference with its digest.
func (n named) pinned(d touchstone.Digest) string {
	if n.tag != "" {
		return n.repository + ":" + n.tag + "@" + string(d)
	}
	return n.repository + "@" + string(d)
}

// host is the registry.
func (n named) host() string {
	host, _, _ := strings.Cut(n.repository, "/")
	return host
}

// artifactKey names an artifact in facts: by repository and digest, so that one
// digest under two names is two artifacts.
func artifactKey(repository string, d touchstone.Digest) string {
	return repository + "@" + string(d)
}

// cutKey is the reverse of artifactKey.
func cutKey(key string) (repository string, d touchstone.Digest) {
	at := strings.LastIndexByte(key, '@')
	if at < 0 {
		return key, ""
	}
	return key[:at], touchstone.Digest(key[at+1:])
}
