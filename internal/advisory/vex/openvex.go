package vex

import (
	"encoding/json"
	"errors"
	"strings"
)

// flexible is a value that older documents write as a plain text and newer ones
// as an object.
type flexible struct {
	ID            string            `json:"@id"`
	Name          string            `json:"name"`
	Aliases       []string          `json:"aliases"`
	Identifiers   map[string]string `json:"identifiers"`
	Hashes        map[string]string `json:"hashes"`
	Subcomponents []flexible        `json:"subcomponents"`
}

func (f *flexible) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*f = flexible{ID: text, Name: text}
		return nil
	}
	type plain flexible
	return json.Unmarshal(b, (*plain)(f))
}

func (f *flexible) component() component {
	c := component{}
	if f.ID != "" {
		c.ids = append(c.ids, f.ID)
	}
	for kind, id := range f.Identifiers {
		if kind == "purl" {
			c.ids = append(c.ids, id)
		}
	}
	for algorithm, sum := range f.Hashes {
		if algorithm == "sha-256" || algorithm == "sha256" {
			c.hashes = append(c.hashes, sum)
		}
	}
	return c
}

func parseOpenVEX(b []byte) (document, error) {
	var in struct {
		ID          string `json:"@id"`
		Author      string `json:"author"`
		Timestamp   string `json:"timestamp"`
		LastUpdated string `json:"last_updated"`
		Statements  []struct {
			Vulnerability flexible   `json:"vulnerability"`
			Timestamp     string     `json:"timestamp"`
			LastUpdated   string     `json:"last_updated"`
			Products      []flexible `json:"products"`
			Subcomponents []flexible `json:"subcomponents"` // 0.0.x
			Status        string     `json:"status"`
			Justification string     `json:"justification"`
			Impact        string     `json:"impact_statement"`
		} `json:"statements"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return document{}, err
	}
	if in.Author == "" {
		return document{}, errors.New("it names no author")
	}
	doc := document{authors: []string{in.Author}}
	for i := range in.Statements {
		s := &in.Statements[i]
		base := statement{
			names: names(&s.Vulnerability), author: in.Author, id: in.ID,
			at: instant(s.LastUpdated, s.Timestamp, in.LastUpdated, in.Timestamp),
		}
		label := strings.Join(base.names, ", ")
		switch s.Status {
		case "not_affected":
			base.status = notAffected
			base.because = strings.Join(nonEmpty(s.Justification, s.Impact), ", ")
			if base.because == "" {
				doc.refused = append(doc.refused, "its statement on "+label+" gives no justification")
				continue
			}
		case "fixed":
			base.status = fixed
		case "affected":
			base.status = affected
		case "under_investigation":
			continue
		default:
			doc.refused = append(doc.refused, "its statement on "+label+" has an unknown status")
			continue
		}
		for j := range s.Products {
			p := &s.Products[j]
			st := base
			st.product.component = p.component()
			for _, part := range append(p.Subcomponents, s.Subcomponents...) {
				st.product.parts = append(st.product.parts, part.component())
			}
			doc.statements = append(doc.statements, st)
		}
	}
	return doc, nil
}

// names returns what a hole is called; an @id may be the URL of its page.
func names(f *flexible) []string {
	list := nonEmpty(append([]string{f.Name}, f.Aliases...)...)
	if f.ID != "" && f.ID != f.Name {
		list = append(list, f.ID[strings.LastIndexByte(f.ID, '/')+1:])
	}
	return list
}

func nonEmpty(list ...string) []string {
	var kept []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			kept = append(kept, s)
		}
	}
	return kept
}
