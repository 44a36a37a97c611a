// Package version puts the versions of each ecosystem in their own order. The
// order itself is osv-scalibr's (package semantic); what is added here is that
// a text which is no version is an error instead of a guess, that hostile texts
// cost little and never panic, and that plain dotted numbers compare fast.
//
// It knows nothing of ranges or advisories: texts go in, an order comes out.
package version

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// ErrIncomparable marks a text that cannot be put in order. Whoever meets it
// knows nothing, and unknown is never a pass.
var ErrIncomparable = errors.New("version cannot be compared")

// longest is the length in bytes above which a text is no version.
const longest = 512

// Version is a version that was read in the manner of its ecosystem.
type Version struct {
	family string // the ecosystem whose order holds, as package semantic names it
	text   string
	plain  plain
	debian debian
	parsed semantic.Version // nil until needed when one of the above is set
}

// Parse reads text as a version of the ecosystem, which is OSV's name with or
// without a release ("Debian:12"). Errors wrap ErrIncomparable.
func Parse(ecosystem, text string) (Version, error) {
	family := familyOf(ecosystem)
	v := Version{family: family, text: tidy(family, text)}
	if why := fault(family, v.text); why != "" {
		return Version{}, fmt.Errorf("%w: %q is %s", ErrIncomparable, clip(text), why)
	}
	switch family {
	case "Debian", "Ubuntu":
		v.debian = parseDebian(v.text)
	case "Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita", "BellSoft Hardened Containers":
		v.plain = parsePlain(v.text, true)
	default:
		v.plain = parsePlain(v.text, false)
	}
	if v.plain.n > 0 || v.debian.ok {
		return v, nil
	}
	if err := v.parse(); err != nil {
		return Version{}, err
	}
	return v, nil
}

// Compare returns -1, 0 or +1 as v is lower than, equal to or higher than w,
// which must be of the same ecosystem.
func (v Version) Compare(w Version) (int, error) {
	switch {
	case v.plain.comparable(&w.plain):
		return v.plain.compare(&w.plain), nil
	case v.debian.ok && w.debian.ok:
		return v.debian.compare(&w.debian), nil
	}
	if err := v.parse(); err != nil {
		return 0, err
	}
	if err := w.parse(); err != nil {
		return 0, err
	}
	return compare(v.parsed, w.parsed)
}

// Compare puts two texts in the order of the ecosystem.
func Compare(ecosystem, a, b string) (int, error) {
	v, err := Parse(ecosystem, a)
	if err != nil {
		return 0, err
	}
	w, err := Parse(ecosystem, b)
	if err != nil {
		return 0, err
	}
	return v.Compare(w)
}

func (v *Version) parse() (err error) {
	if v.parsed != nil {
		return nil
	}
	defer escape(&err)
	parsed, err := semantic.Parse(v.text, v.family)
	if err != nil {
		return fmt.Errorf("%w: %q: %w", ErrIncomparable, clip(v.text), err)
	}
	if v.family == "PyPI" {
		// What PEP 440 cannot read sorts below everything in the library, so
		// that "latest" would count as older than every fix and newer than none.
		if c, err := parsed.CompareStr("0.dev0"); err != nil || c < 0 {
			return fmt.Errorf("%w: %q is not a version of PEP 440", ErrIncomparable, clip(v.text))
		}
	}
	v.parsed = parsed
	return nil
}

func compare(v, w semantic.Version) (c int, err error) {
	defer escape(&err)
	c, err = v.Compare(w)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrIncomparable, err)
	}
	return c, nil
}

// escape turns a panic of the library over a hostile text into an error.
func escape(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrIncomparable, r)
	}
}

// familyOf names the ecosystem whose order holds. Some of OSV's ecosystems are
// not known to the library, although their order is another's by definition.
func familyOf(ecosystem string) string {
	family, release, _ := strings.Cut(ecosystem, ":")
	switch family {
	case "Azure Linux", "Photon OS":
		return "Red Hat"
	case "Echo", "opam": // opam's order is Debian's (opam manual, "Version ordering")
		return "Debian"
	case "GitHub Actions", "Kubernetes", "VSCode", "Linux":
		return "Go"
	case "Root":
		return familyOf(release)
	}
	return family
}

// tidy removes what some tools write before a version and none means.
func tidy(family, text string) string {
	text = strings.TrimSpace(text)
	switch family {
	case "Go":
		return strings.TrimPrefix(strings.TrimPrefix(text, "go"), "v")
	case "npm", "crates.io", "Hex", "Pub", "NuGet", "SwiftURL", "Julia":
		return strings.TrimPrefix(strings.TrimPrefix(text, "="), "v")
	}
	return text
}

// fault says why text cannot be a version of the family, or "".
func fault(family, text string) string {
	switch {
	case text == "":
		return "empty"
	case len(text) > longest:
		return "too long for a version"
	case !strings.ContainsAny(text, "0123456789"):
		return "a version without any digit"
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '$' || r == '{' || r > 0x7e }):
		return "no version: it holds characters that none has"
	}
	switch family {
	case "Go", "npm", "crates.io", "Hex", "Pub", "NuGet", "SwiftURL", "Julia", "GHC", "Hackage", "Bitnami", "ConanCenter",
		"Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita", "BellSoft Hardened Containers", "CRAN":
		if text[0] < '0' || text[0] > '9' {
			return "no version: it does not begin with a digit"
		}
	}
	return ""
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
