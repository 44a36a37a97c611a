// Package score turns the ways in which sources grade a vulnerability (CVSS
// vectors of every version, severity words) into one number from 0 to 10 that
// says where it comes from. Vectors are read by pandatix/go-cvss; only base
// metrics count, because the others are opinions about one moment or place.
package score

import (
	"math"
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"
)

// Grade says how much a score is worth; a better grade displaces a worse one
// whatever their values.
type Grade uint8

// The grades, weak to strong.
const (
	None   Grade = iota
	Word         // a severity word, counted as the top of its band
	V2           // CVSS 2.0
	Modern       // CVSS 3.0, 3.1 or 4.0: comparable with each other
)

// Score is one source's opinion of a vulnerability.
type Score struct {
	Grade  Grade
	Value  float64 // 0 to 10, one decimal
	Vector string  // as published; empty for a word
	Source string  // "GHSA-…, CVSS 3.1"
}

// Better reports whether s stands above t: the higher of the better grade.
func (s Score) Better(t Score) bool {
	if s.Grade != t.Grade {
		return s.Grade > t.Grade
	}
	if s.Value != t.Value {
		return s.Value > t.Value
	}
	// Equal scores keep one order, so that the same advisories give the same
	// index whichever is read first.
	return s.Source < t.Source
}

// Vector reads a CVSS vector of any version. who is the source's name.
func Vector(vector, who string) (Score, bool) {
	s := Score{Grade: Modern, Vector: vector, Source: who}
	switch {
	case len(vector) > 512:
		return Score{}, false
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := cvss40.ParseVector(base(vector))
		if err != nil {
			return Score{}, false
		}
		s.Value, s.Source = v.Score(), who+", CVSS 4.0"
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := cvss31.ParseVector(vector)
		if err != nil {
			return Score{}, false
		}
		s.Value, s.Source = v.BaseScore(), who+", CVSS 3.1"
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := cvss30.ParseVector(vector)
		if err != nil {
			return Score{}, false
		}
		s.Value, s.Source = v.BaseScore(), who+", CVSS 3.0"
	default:
		v, err := cvss20.ParseVector(strings.Trim(vector, "()"))
		if err != nil {
			return Score{}, false
		}
		s.Grade, s.Value, s.Source = V2, v.BaseScore(), who+", CVSS 2.0"
	}
	return s, true
}

// Number takes a base score that came without a usable vector. version is that
// of CVSS: "3.1".
func Number(value float64, version, who string) (Score, bool) {
	if math.IsNaN(value) || value < 0 || value > 10 {
		return Score{}, false
	}
	s := Score{Grade: Modern, Value: math.Round(value*10) / 10, Source: who + ", CVSS " + version}
	if strings.HasPrefix(version, "2") {
		s.Grade = V2
	}
	return s, true
}

// OfWord reads a severity word as the top of its band, in the words of CVSS and
// of the sources that OSV collects (GitHub, Debian, Ubuntu, Red Hat, SUSE).
func OfWord(word, who string) (Score, bool) {
	s := Score{Grade: Word, Source: who + ", the word " + strings.ToLower(strings.TrimSpace(word))}
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical":
		s.Value = 10
	case "high", "important":
		s.Value = 8.9
	case "medium", "moderate":
		s.Value = 6.9
	case "low", "minor", "negligible", "unimportant":
		s.Value = 3.9
	case "none":
		s.Value = 0
	default:
		return Score{}, false
	}
	return s, true
}

// Severity names the band of a score (CVSS 3.1 section 5, CVSS 4.0 section 6;
// the same bounds in both).
func Severity(value float64) string {
	switch {
	case value >= 9:
		return "critical"
	case value >= 7:
		return "high"
	case value >= 4:
		return "medium"
	case value > 0:
		return "low"
	}
	return "none"
}

// base drops every metric of a CVSS 4.0 vector that is not a base metric: the
// library's one score would count them.
func base(vector string) string {
	parts := strings.Split(vector, "/")
	kept := parts[:1]
	for _, p := range parts[1:] {
		metric, _, _ := strings.Cut(p, ":")
		switch metric {
		case "AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA":
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "/")
}
