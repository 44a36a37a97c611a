// Package cve reads what enriches advisories: CVE records (CVE JSON record
// format 5.x, https://github.com/CVEProject/cve-schema) with the scores of
// every container and the SSVC points of CISA's, CISA's list of known exploited
// vulnerabilities, and EPSS. It keeps the best score and forgets the rest.
package cve

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/osv"
	"touchstone.dev/touchstone/internal/advisory/score"
)

// Record is a CVE record as published.
type Record struct {
	DataType string `json:"dataType"`
	Meta     struct {
		ID        string   `json:"cveId"`
		State     string   `json:"state"`
		Published osv.Time `json:"datePublished"`
		Updated   osv.Time `json:"dateUpdated"`
	} `json:"cveMetadata"`
	Containers struct {
		CNA Container   `json:"cna"`
		ADP []Container `json:"adp"`
	} `json:"containers"`
}

// Container is what one organisation says: the CNA that assigned the identifier,
// or an authorised data publisher.
type Container struct {
	Title        string `json:"title"`
	Descriptions []struct {
		Lang  string `json:"lang"`
		Value string `json:"value"`
	} `json:"descriptions"`
	Metrics  []Metric `json:"metrics"`
	Provider struct {
		Name string `json:"shortName"`
	} `json:"providerMetadata"`
}

// Metric is one grade in one of several systems.
type Metric struct {
	V2    CVSS `json:"cvssV2_0"`
	V30   CVSS `json:"cvssV3_0"`
	V31   CVSS `json:"cvssV3_1"`
	V4    CVSS `json:"cvssV4_0"`
	Other struct {
		Type    string          `json:"type"`
		Content json.RawMessage `json:"content"`
	} `json:"other"`
}

// CVSS is a vector and its score.
type CVSS struct {
	Vector string
	Score  float64
	Set    bool
}

// UnmarshalJSON reads what is well-formed and takes the rest for absent.
func (c *CVSS) UnmarshalJSON(b []byte) error {
	var fields struct {
		Vector json.RawMessage `json:"vectorString"`
		Score  json.RawMessage `json:"baseScore"`
	}
	if json.Unmarshal(b, &fields) != nil {
		return nil
	}
	_ = json.Unmarshal(fields.Vector, &c.Vector)
	c.Set = json.Unmarshal(fields.Score, &c.Score) == nil
	return nil
}

// Enrichment is what a CVE record adds to the hole of its name.
type Enrichment struct {
	ID             string
	Rejected       bool
	Score          score.Score
	SSVC           touchstone.SSVC
	KnownExploited bool
	Summary        string
	Published      time.Time
	Modified       time.Time
}

// Enrichment condenses the record.
func (r *Record) Enrichment() (*Enrichment, error) {
	if !strings.HasPrefix(r.Meta.ID, "CVE-") || !osv.ValidName(r.Meta.ID) {
		return nil, errors.New("it has no CVE identifier")
	}
	e := &Enrichment{
		ID:        r.Meta.ID,
		Rejected:  strings.EqualFold(r.Meta.State, "REJECTED"),
		Published: r.Meta.Published.Time,
		Modified:  r.Meta.Updated.Time,
	}
	description := ""
	for _, d := range r.Containers.CNA.Descriptions {
		if d.Lang == "" || strings.HasPrefix(strings.ToLower(d.Lang), "en") {
			description = d.Value
			break
		}
	}
	e.Summary = osv.Line(r.Containers.CNA.Title, description)
	e.take(&r.Containers.CNA)
	for i := range r.Containers.ADP {
		e.take(&r.Containers.ADP[i])
	}
	return e, nil
}

func (e *Enrichment) take(c *Container) {
	who := "CVE record (" + osv.Line(c.Provider.Name) + ")"
	for i := range c.Metrics {
		m := &c.Metrics[i]
		for _, v := range []struct {
			cvss    *CVSS
			version string
		}{{&m.V2, "2.0"}, {&m.V30, "3.0"}, {&m.V31, "3.1"}, {&m.V4, "4.0"}} {
			s, ok := score.Vector(v.cvss.Vector, who)
			if !ok && v.cvss.Set {
				s, ok = score.Number(v.cvss.Score, v.version, who)
			}
			if ok && s.Better(e.Score) {
				e.Score = s
			}
		}
		switch m.Other.Type {
		case "ssvc":
			e.ssvc(m.Other.Content, c.Provider.Name)
		case "kev":
			e.KnownExploited = true
		}
	}
}

// ssvc reads the decision points as CISA publishes them: a list of objects of
// one field each.
func (e *Enrichment) ssvc(content json.RawMessage, who string) {
	var points struct {
		Options []map[string]json.RawMessage `json:"options"`
	}
	if json.Unmarshal(content, &points) != nil {
		return
	}
	var s touchstone.SSVC
	for _, option := range points.Options {
		for name, raw := range option {
			var value string
			if json.Unmarshal(raw, &value) != nil {
				continue
			}
			value = strings.ToLower(value)
			switch strings.ToLower(name) {
			case "exploitation":
				s.Exploitation = oneOf(value, "none", "poc", "active")
			case "automatable":
				s.Automatable = oneOf(value, "no", "yes")
			case "technical impact":
				s.TechnicalImpact = oneOf(value, "partial", "total")
			}
		}
	}
	if s != (touchstone.SSVC{}) {
		s.Source = osv.Line(who)
		e.SSVC = s
	}
}

func oneOf(value string, known ...string) string {
	for _, k := range known {
		if value == k {
			return value
		}
	}
	return ""
}

// Catalog is CISA's list of known exploited vulnerabilities
// (https://www.cisa.gov/known-exploited-vulnerabilities-catalog).
type Catalog struct {
	Version         string   `json:"catalogVersion"`
	Released        osv.Time `json:"dateReleased"`
	Vulnerabilities []struct {
		ID string `json:"cveID"`
	} `json:"vulnerabilities"`
}

// ParseCatalog reads the list. One without an entry is an error: an empty list
// would say that nothing is exploited.
func ParseCatalog(b []byte) (*Catalog, error) {
	var c Catalog
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("read the list of known exploited vulnerabilities: %w", err)
	}
	n := 0
	for _, v := range c.Vulnerabilities {
		if strings.HasPrefix(v.ID, "CVE-") {
			n++
		}
	}
	if n == 0 {
		return nil, errors.New("read the list of known exploited vulnerabilities: it names none")
	}
	return &c, nil
}
