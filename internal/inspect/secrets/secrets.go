package secrets

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

const (
	// Limit is how many bytes of a file are looked at, from its beginning. A
	// secret further inside is not found.
	Limit = 1 << 20
	// maxFound is how many secrets are told of one file.
	maxFound = 100
)

// Fingerprint returns the first 16 hexadecimal digits of the HMAC-SHA-256 of
// value under key.
func Fingerprint(key, value []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(value)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Scan returns the secrets in a file, in the order of their lines. Of content,
// the first Limit bytes are looked at. key is that of the fingerprints. Layer is
// left 0, for the caller to set.
func Scan(name string, content, key []byte) []touchstone.Secret {
	content = content[:min(len(content), Limit)]
	found := tokens(content)
	for _, p := range placesFor(name) {
		p.read(content, func(m match) { found = append(found, m) })
	}
	if len(found) == 0 {
		return nil
	}
	published, sample := origin(name)
	if sample {
		return nil
	}
	found = slices.DeleteFunc(settled(found), func(m match) bool {
		// What is shipped to everybody with a Google API key is meant to be.
		return published && m.kind == "google-api-key"
	})
	found = found[:min(len(found), maxFound)]

	secrets := make([]touchstone.Secret, 0, len(found))
	line, counted := 1, 0
	for _, m := range found {
		line += bytes.Count(content[counted:m.from], []byte("\n"))
		counted = m.from
		s := touchstone.Secret{Kind: m.kind, Path: name, Line: line, Fingerprint: Fingerprint(key, m.secret(content))}
		if m.kind == "private-key" {
			s.Kind = keyKind(name, content)
		}
		if !slices.ContainsFunc(secrets, func(t touchstone.Secret) bool { return t.Kind == s.Kind && t.Fingerprint == s.Fingerprint }) {
			secrets = append(secrets, s)
		}
	}
	return secrets
}

// tokens finds every secret that is recognised by its own looks.
func tokens(text []byte) []match {
	var found []match
	theFilter().each(text, func(t *form, at int) {
		if len(found) >= 10*maxFound {
			return
		}
		if m, ok := t.find(text, at, at+len(t.anchor)); ok {
			if m.kind == "" {
				m.kind = t.kind
			}
			found = append(found, m)
		}
	})
	return found
}

// settled sorts matches by their place and drops those that lie within another.
func settled(found []match) []match {
	slices.SortFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to), cmp.Compare(a.kind, b.kind))
	})
	kept, end := found[:0], 0
	for _, m := range found {
		if m.to > end {
			kept, end = append(kept, m), m.to
		}
	}
	return kept
}

// secret returns the value that is fingerprinted.
func (m *match) secret(text []byte) []byte {
	if m.value != nil {
		return m.value
	}
	return text[m.from:m.to]
}

// keyKind says what a private key is for, where its place tells: a host key of
// SSH, which all containers of an image then share, or a Google service account.
func keyKind(name string, content []byte) string {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "ssh_host_") && strings.HasSuffix(base, "_key"):
		return "ssh-host-key"
	case bytes.Contains(content, []byte(`"service_account"`)):
		return "gcp-service-account"
	}
	return "private-key"
}
