package touchstone

import (
	"slices"
	"time"
)

// Match is an advisory that fits a package of the artifact: one hole, however
// many aliases and sources name it.
type Match struct {
	ID      string     `json:"id"`      // the best-known name: CVE, else GHSA, else the source's own
	Aliases []string   `json:"aliases"` // every other name, sorted; any of them finds the hole
	Package PackageRef `json:"package"`
	Summary string     `json:"summary,omitempty"` // what is wrong, in the source's words
	// Score is the highest CVSS v4 or v3 base score of any source (v2 only
	// where it stands alone; a severity word counts as the top of its band).
	// It means nothing unless Scored.
	Score          float64   `json:"score,omitempty"`
	Scored         bool      `json:"scored"`                // whether any source gives a score
	ScoreSource    string    `json:"scoreSource,omitempty"` // "CVE record (CISA-ADP), CVSS 3.1"
	Vector         string    `json:"vector,omitempty"`      // the CVSS vector of Score
	Severity       string    `json:"severity"`              // none, low, medium, high, critical, unknown
	KnownExploited bool      `json:"knownExploited"`        // on CISA's list of known exploited vulnerabilities
	EPSS           float64   `json:"epss,omitempty"`        // probability of exploitation in 30 days, 0 to 1
	Published      time.Time `json:"published,omitzero"`    // when it became known, by its earliest source
	Modified       time.Time `json:"modified,omitzero"`     // when its latest source last changed
	// FixedVersions are the versions above the installed one that mend the
	// hole, lowest first. Empty means that no fix is known.
	FixedVersions []string `json:"fixedVersions"`
	// WontFix is true when the distribution says that it will not mend it.
	WontFix bool   `json:"wontFix,omitempty"`
	Origin  Origin `json:"origin"`
	// Applies is false when there is proof that the hole cannot be used here;
	// Why holds the proof. The match is still listed.
	Applies bool   `json:"applies"`
	Why     string `json:"why,omitempty"` // the proof that it does not apply
	SSVC    SSVC   `json:"ssvc,omitzero"`
}

// PackageRef names a package in a match.
type PackageRef struct {
	Name      string `json:"name"`      // as in Package
	Version   string `json:"version"`   // as in Package
	PURL      string `json:"purl"`      // as in Package
	Ecosystem string `json:"ecosystem"` // as in Package
	Path      string `json:"path"`      // as in Package
}

// Fixable reports whether a version that mends the hole is known.
func (m *Match) Fixable() bool { return len(m.FixedVersions) > 0 }

// Named reports whether name is the match's id or one of its aliases.
func (m *Match) Named(name string) bool {
	return m.ID == name || slices.Contains(m.Aliases, name)
}

// Origin says who brought something in.
type Origin string

// The origins of a package, by the layer that brought it.
const (
	OriginBase        Origin = "base"        // a layer of the golden base that the image stands on
	OriginApplication Origin = "application" // a layer above it
	OriginUnknown     Origin = "unknown"     // no golden base is known for the image
)

// Knowledge is what is known about an artifact beyond its own bytes.
type Knowledge struct {
	Matches  []Match    `json:"matches"`
	Upgrades []Upgrade  `json:"upgrades"`
	Index    IndexState `json:"index"`
	Coverage []Coverage `json:"coverage"` // one for each ecosystem that the artifact has packages of
	Lineage  Lineage    `json:"lineage"`
}

// IndexState says which advisories were asked.
type IndexState struct {
	Revision Digest    `json:"revision,omitempty"` // of the index file; empty when there is none
	Built    time.Time `json:"built,omitzero"`     // when the index was made
	// KEV and EPSS are when CISA's list and the EPSS scores were last confirmed
	// current; zero means that they were never imported, so that rules about
	// them cannot be evaluated.
	KEV  time.Time `json:"kev,omitzero"`
	EPSS time.Time `json:"epss,omitzero"` // as KEV, for the EPSS scores
	// Problem says why the index could not be asked; empty when it could. The
	// fault lies outside the artifact, so what depends on it is undecided.
	Problem string `json:"problem,omitempty"`
	Remedy  string `json:"remedy,omitempty"` // the command that mends it
}

// Coverage says whether advisories are known for one ecosystem and release.
type Coverage struct {
	Ecosystem string `json:"ecosystem"` // "Debian:12"; "" for packages whose ecosystem has no advisories anywhere
	Packages  int    `json:"packages"`  // of the artifact, in that ecosystem
	Covered   bool   `json:"covered"`   // whether advisories are known for it
	// Confirmed is when the source was last confirmed current: a fetch, a 304,
	// a zip's own date, or --as-of.
	Confirmed time.Time `json:"confirmed,omitzero"`
	// EndOfLife is true when the release is out of support: no new advisories
	// are written for it, so silence means nothing.
	EndOfLife bool   `json:"endOfLife,omitempty"`
	Why       string `json:"why,omitempty"`    // why it is not covered
	Remedy    string `json:"remedy,omitempty"` // "touchstone db update Debian"
}

// Upgrade is a version of one package and the holes that it mends.
type Upgrade struct {
	Package string   `json:"package"` // the name to upgrade: the source package of a distribution
	PURL    string   `json:"purl"`    // of the installed version
	Path    string   `json:"path"`    // the file that proves the package
	From    string   `json:"from"`    // the installed version
	To      string   `json:"to"`      // the lowest version that clears them
	Clears  []string `json:"clears"`  // ids of matches
	Leaves  int      `json:"leaves"`  // matches of the package without a fix
	Origin  Origin   `json:"origin"`
}

// Lineage is what an artifact was built on.
type Lineage struct {
	// Known is true when golden bases could be read at all; false leaves rules
	// about them undecided.
	Known   bool   `json:"known"`
	Problem string `json:"problem,omitempty"` // why golden bases could not be read
	Base    *Base  `json:"base,omitempty"`    // the golden base with the longest matching chain; nil when none matches
	Layers  int    `json:"layers,omitempty"`  // how many layers are the base's
	Newer   string `json:"newer,omitempty"`   // a newer golden base of the same name, to rebuild on
}

// Base is an approved base: a chain of diff IDs that somebody owns.
type Base struct {
	Name    string    `json:"name"`             // its reference when it was added
	Digest  Digest    `json:"digest"`           // of its manifest
	Chain   []Digest  `json:"chain"`            // diff IDs, bottom first
	Owner   string    `json:"owner"`            // who mends it
	Created time.Time `json:"created,omitzero"` // of the image
	Added   time.Time `json:"added"`            // when it was approved
	Expires time.Time `json:"expires,omitzero"` // when the approval ends; zero means never
}
