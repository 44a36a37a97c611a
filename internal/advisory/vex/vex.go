// Package vex reads what authors say about holes in their own products: OpenVEX
// (https://github.com/openvex/spec, 0.2.0 and the older 0.0.x) and the VEX
// profile of CSAF 2.0 (https://docs.oasis-open.org/csaf/csaf/v2.0, section 4.5).
// A statement of an author whom the user trusts, that a hole is not there or is
// mended, becomes a proof; every other statement changes nothing.
//
// Authors are who the documents say they are: a document is not signed here, so
// whoever can put one where the user takes it from can speak for its author.
package vex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// largest bounds a document in bytes.
const largest = 64 << 20

// Documents are the statements of trusted authors.
type Documents struct {
	statements []statement
}

// Ignored is a document, or a statement in one, that does not count.
type Ignored struct {
	Path   string `json:"path"`
	Author string `json:"author,omitempty"`
	Why    string `json:"why"`
}

// statement says what the status of some holes is in one product.
type statement struct {
	names   []string // of the hole
	product product
	status  status
	because string // justification or impact, in the document's words
	author  string
	id      string // of the document
	at      time.Time
}

type status uint8

const (
	affected status = iota
	notAffected
	fixed
)

// Load reads the documents at paths and keeps those whose author is one of
// trusted. Those of others are returned, so that the user is told.
func Load(paths, trusted []string) (*Documents, []Ignored, error) {
	d := &Documents{}
	var ignored []Ignored
	for _, path := range paths {
		b, err := read(path)
		if err != nil {
			return nil, nil, fmt.Errorf("read VEX: %w", err)
		}
		more, err := d.Add(b, path, trusted)
		if err != nil {
			return nil, nil, fmt.Errorf("read VEX %s: %w", path, err)
		}
		ignored = append(ignored, more...)
	}
	return d, ignored, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err == nil && len(b) > largest {
		err = fmt.Errorf("%s is larger than %d MB", path, largest>>20)
	}
	return b, err
}

// Add reads one document. path names it for people.
func (d *Documents) Add(b []byte, path string, trusted []string) ([]Ignored, error) {
	var kind struct {
		Context  json.RawMessage `json:"@context"`
		Document json.RawMessage `json:"document"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, err
	}
	var doc document
	var err error
	switch {
	case kind.Document != nil:
		doc, err = parseCSAF(b)
	case strings.Contains(string(kind.Context), "openvex"):
		doc, err = parseOpenVEX(b)
	default:
		return nil, errors.New("it is neither OpenVEX nor CSAF")
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(trusted, func(t string) bool { return t != "" && slices.Contains(doc.authors, t) }) {
		who := ""
		if len(doc.authors) > 0 {
			who = doc.authors[0]
		}
		return []Ignored{{Path: path, Author: who, Why: "its author is not one of the trusted ones"}}, nil
	}
	var ignored []Ignored
	for _, why := range doc.refused {
		ignored = append(ignored, Ignored{Path: path, Author: doc.authors[0], Why: why})
	}
	d.statements = append(d.statements, doc.statements...)
	return ignored, nil
}

// document is what either format comes to.
type document struct {
	authors    []string // the names under which its author may be trusted
	statements []statement
	refused    []string // statements that do not count, and why
}

// About returns the statements that may concern an artifact.
func (d *Documents) About(a touchstone.Artifact) *View { return &View{d, a} }

// View judges the holes of one artifact.
type View struct {
	documents *Documents
	artifact  touchstone.Artifact
}

// Judge returns the proof that a hole does not apply; ok is false when the
// newest statement about it says otherwise, or nobody says anything.
func (v *View) Judge(m *touchstone.Match) (proof string, ok bool) {
	var best *statement
	for i := range v.documents.statements {
		s := &v.documents.statements[i]
		if !slices.ContainsFunc(s.names, m.Named) || !s.product.is(&v.artifact, &m.Package) {
			continue
		}
		// Of two statements of the same moment, the one that admits counts.
		if best == nil || s.at.After(best.at) || s.at.Equal(best.at) && s.status == affected {
			best = s
		}
	}
	if best == nil || best.status == affected {
		return "", false
	}
	said := "is not affected"
	if best.status == fixed {
		said = "is mended"
	}
	if best.because != "" {
		said += ": " + best.because
	}
	proof = fmt.Sprintf("%s says that it %s (%s", best.author, said, best.id)
	if !best.at.IsZero() {
		proof += ", " + best.at.UTC().Format(time.RFC3339)
	}
	return proof + ")", true
}

// Authors returns the authors whose statements count, sorted.
func (d *Documents) Authors() []string {
	var list []string
	for i := range d.statements {
		list = append(list, d.statements[i].author)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// instant reads a time; one that cannot be read is the oldest.
func instant(texts ...string) time.Time {
	for _, s := range texts {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
