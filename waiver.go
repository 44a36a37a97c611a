package touchstone

import (
	"slices"
	"strings"
	"time"
)

// Waiver is a rule set aside for a named thing, by somebody, for a reason,
// until a moment.
type Waiver struct {
	ID           string    `json:"id"`
	Rule         string    `json:"rule"`
	Artifact     string    `json:"artifact"`               // pattern of a name ("shop/*", see MatchName) or a digest; "" means any
	Advisory     string    `json:"advisory,omitempty"`     // any alias
	Package      string    `json:"package,omitempty"`      // name or purl
	Environments []string  `json:"environments,omitempty"` // empty means all
	Owner        string    `json:"owner"`
	ApprovedBy   string    `json:"approvedBy,omitempty"`
	Reason       string    `json:"reason"`
	Until        time.Time `json:"until"`
	// ScoreAbove ends the waiver for a match whose score has risen above it;
	// zero means that no score ends it.
	ScoreAbove float64 `json:"scoreAbove,omitempty"`
	// UntilFix ends the waiver for a match that has a fix.
	UntilFix bool `json:"untilFix,omitempty"`
	// UnlessExploited ends the waiver for a match that is on CISA's list of known
	// exploited vulnerabilities.
	UnlessExploited bool `json:"unlessExploited,omitempty"`
	// WholeRule is true when the waiver names neither advisory nor package and
	// sets the whole rule aside.
	WholeRule bool `json:"wholeRule,omitempty"`
}

// live reports whether the waiver holds at now for the rule and artifact in the
// environment, whatever it says of advisories and packages.
func (w *Waiver) live(rule, environment string, a *Artifact, now time.Time) bool {
	return w.Rule == rule && now.Before(w.Until) && w.in(environment) && w.names(a)
}

func (w *Waiver) in(environment string) bool {
	return len(w.Environments) == 0 || slices.Contains(w.Environments, environment)
}

func (w *Waiver) names(a *Artifact) bool {
	return w.Artifact == "" ||
		w.Artifact == string(a.Digest) || w.Artifact == string(a.Index) ||
		a.Name != "" && MatchName(w.Artifact, a.Name)
}

// Waived returns the waiver that sets the whole row aside for the artifact in the
// place at now, the last to lapse where there are several. It reports false where
// there is none, and for a row that is never waived. Decide asks by itself; this is
// for the rows that it is not asked about.
func (r *Rules) Waived(name string, p *Place, a *Artifact, waivers []Waiver, now time.Time) (Waiver, bool) {
	var found *Waiver
	if !slices.Contains(r.Waiving.Never, name) {
		for i := range waivers {
			w := &waivers[i]
			if w.WholeRule && w.live(name, r.Environments[r.environment(p.Environment)], a, now) && (found == nil || w.Until.After(found.Until)) {
				found = w
			}
		}
	}
	if found == nil {
		return Waiver{}, false
	}
	return *found, true
}

// bounded reports whether something about a match ends the waiver, besides time.
func (w *Waiver) bounded() bool { return w.ScoreAbove > 0 || w.UntilFix || w.UnlessExploited }

// ended reports whether something about the match has ended the waiver for it.
func (w *Waiver) ended(m *Match) bool {
	return w.ScoreAbove > 0 && m.Scored && m.Score > w.ScoreAbove ||
		w.UntilFix && m.Fixable() ||
		w.UnlessExploited && m.KnownExploited
}

// covers reports whether the waiver sets the rule aside for this match.
func (w *Waiver) covers(m *Match) bool {
	if w.ended(m) {
		return false
	}
	if w.WholeRule {
		return true
	}
	return (w.Advisory == "" || m.Named(w.Advisory)) &&
		(w.Package == "" || w.Package == m.Package.Name || w.Package == m.Package.PURL) &&
		(w.Advisory != "" || w.Package != "")
}

// coversContent is covers for something that is executed or has changed: the waiver
// names its path, or the digest of its content. A path that looks like a digest is
// none.
func (w *Waiver) coversContent(path string, content Digest) bool {
	switch {
	case w.WholeRule:
		return true
	case w.Package == "" || path == "":
		return false
	case Digest(w.Package).Valid():
		return content == Digest(w.Package)
	default:
		return strings.TrimPrefix(w.Package, "/") == path
	}
}

// coversThing is covers for what is not a match: a package, a path, a licence.
// The waiver may name the bare thing ("etc/key") or what is told of it
// ("etc/key (private-key)"). Nothing is cut out of what is told: an artifact
// chooses its names, and would choose one that somebody has waived.
func (w *Waiver) coversThing(name, told string) bool {
	return w.WholeRule || w.Package != "" && (w.Package == name || w.Package == told)
}
