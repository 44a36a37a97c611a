// Package osv reads advisories in the Open Source Vulnerability format (OSV
// schema 1.7, https://ossf.github.io/osv-schema/), with the habits of the
// databases that publish in it. It reads what matters for a decision and lets
// pass what a source writes beside the schema; it judges nothing.
package osv

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Record is one advisory.
type Record struct {
	ID        string     `json:"id"`
	Published Time       `json:"published"`
	Modified  Time       `json:"modified"`
	Withdrawn string     `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Upstream  []string   `json:"upstream"`
	Related   []string   `json:"related"`
	Summary   string     `json:"summary"`
	Details   string     `json:"details"`
	Severity  Severities `json:"severity"`
	Affected  []Affected `json:"affected"`
	Specific  Specific   `json:"database_specific"`
}

// Severity is a grade by one system: Type "CVSS_V3" with a vector, or a
// distribution's own type ("Ubuntu") with a word.
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// Affected is what the advisory says of one package in one ecosystem.
type Affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity  Severities `json:"severity"`
	Ranges    []Range    `json:"ranges"`
	Versions  []string   `json:"versions"`
	Ecosystem Specific   `json:"ecosystem_specific"`
	Database  Specific   `json:"database_specific"`
}

// Range is one range of versions.
type Range struct {
	Type   string  `json:"type"` // SEMVER, ECOSYSTEM, GIT
	Events []Event `json:"events"`
}

// Event has exactly one field set.
type Event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// Specific is what sources say beside the schema and what is known of it.
type Specific struct {
	Severity string   // a word: GitHub's "HIGH", and others
	Urgency  string   // Debian's: "low", "unimportant", "end-of-life"
	Status   string   // of a distribution: "not-affected", "wont-fix"
	Imports  []Import // the Go vulnerability database's
}

// Import is a package of a Go module and the symbols in which the hole is
// (https://go.dev/doc/security/vuln/database#schema).
type Import struct {
	Path    string   `json:"path"`
	Symbols []string `json:"symbols"`
	GOOS    []string `json:"goos"`
	GOARCH  []string `json:"goarch"`
}

// Time is an instant in RFC 3339. What is none is the zero time: a date is worth
// less than the advisory that carries it.
type Time struct{ time.Time }

// UnmarshalJSON reads a time and never fails.
func (t *Time) UnmarshalJSON(b []byte) error {
	parsed, err := time.Parse(time.RFC3339, strings.Trim(string(b), `"`))
	if err != nil || parsed.Year() < 1990 {
		parsed = time.Time{}
	}
	t.Time = parsed.UTC()
	return nil
}

// Severities is a list that some sources write as something else.
type Severities []Severity

// UnmarshalJSON reads the list, and takes anything else for none.
func (s *Severities) UnmarshalJSON(b []byte) error {
	var list []Severity
	if json.Unmarshal(b, &list) == nil {
		*s = list
	}
	return nil
}

// UnmarshalJSON picks out what is known; everything else may have any form.
func (s *Specific) UnmarshalJSON(b []byte) error {
	var fields struct {
		Severity json.RawMessage `json:"severity"`
		Urgency  json.RawMessage `json:"urgency"`
		Status   json.RawMessage `json:"status"`
		Imports  json.RawMessage `json:"imports"`
	}
	if json.Unmarshal(b, &fields) != nil {
		return nil
	}
	s.Severity, s.Urgency, s.Status = word(fields.Severity), word(fields.Urgency), word(fields.Status)
	var imports []Import
	if len(fields.Imports) > 0 && json.Unmarshal(fields.Imports, &imports) == nil {
		s.Imports = imports
	}
	return nil
}

func word(b json.RawMessage) string {
	var s string
	if len(b) == 0 || json.Unmarshal(b, &s) != nil {
		return ""
	}
	return s
}

// Bounds on what one record may claim, far above what any real one does.
const (
	longestName   = 256 // bytes of an identifier
	mostAffected  = 200_000
	longestString = 4096 // bytes of a package's name or ecosystem
)

// Check reports why the record cannot be used, or nil.
func (r *Record) Check() error {
	switch {
	case r.ID == "":
		return errors.New("it has no id")
	case !ValidName(r.ID):
		return errors.New("its id is no identifier")
	case len(r.Affected) > mostAffected:
		return fmt.Errorf("it affects %d packages", len(r.Affected))
	}
	for i := range r.Affected {
		p := &r.Affected[i].Package
		if len(p.Name) > longestString || len(p.Ecosystem) > longestString {
			return errors.New("it names a package by a text too long for a name")
		}
	}
	return nil
}

// ValidName reports whether s can be the identifier of an advisory.
func ValidName(s string) bool {
	return s != "" && len(s) <= longestName && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// ShortSummary returns the summary, else the first sentence of the details, in
// one line of at most 200 characters.
func (r *Record) ShortSummary() string { return Line(r.Summary, r.Details) }

// Line returns the first of the texts that says something, in one line of at
// most 200 characters.
func Line(texts ...string) string {
	const most = 200
	for _, text := range texts {
		if len(text) > 16*most {
			text = text[:16*most]
		}
		text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
		if text == "" {
			continue
		}
		if len(text) > most {
			if i := strings.Index(text, ". "); i > 0 && i < most {
				return text[:i+1]
			}
			cut := strings.LastIndexByte(text[:most], ' ')
			if cut < most/2 {
				for cut = most; !utf8.RuneStart(text[cut]); cut-- {
				}
			}
			return text[:cut] + "…"
		}
		return text
	}
	return ""
}
