package touchstone

// The schemas of what leaves the program.
const (
	SchemaCheck    = "touchstone.dev/check/v1"
	SchemaEvidence = "touchstone.dev/evidence/v1"
	SchemaDiff     = "touchstone.dev/diff/v1"
)

// Check is the whole answer to "touchstone check": what was seen and what was
// decided. Every output format is made from it alone.
type Check struct {
	Schema   string   `json:"schema"` // touchstone.dev/check/v1
	Tool     string   `json:"tool"`   // "touchstone VERSION"
	Artifact Artifact `json:"artifact"`
	// Platforms lists every platform of an index that was judged; the document
	// is that of the worst.
	Platforms []PlatformVerdict `json:"platforms,omitempty"`
	// Decision is set when one place was asked about, Road when the whole road
	// was: one decision for each environment, mild to strict.
	Decision      *Decision       `json:"decision,omitempty"`
	Road          []Decision      `json:"road,omitempty"`
	Matches       []Match         `json:"matches"`
	Upgrades      []Upgrade       `json:"upgrades"`
	Packages      []Package       `json:"packages"`
	Gaps          []Gap           `json:"gaps"`
	Secrets       []Secret        `json:"secrets"`
	Pins          []Pin           `json:"pins"`
	Surface       Surface         `json:"surface"`
	Configuration Configuration   `json:"configuration"`
	OS            OS              `json:"os"`
	Layers        []Layer         `json:"layers"`
	Manifest      ManifestSummary `json:"manifest"`
	Lineage       Lineage         `json:"lineage"`
	Index         IndexState      `json:"advisories"`
	Coverage      []Coverage      `json:"coverage"`
	// Next says what the environments after the one asked about would say, so
	// that nobody is surprised later.
	Next []NextVerdict `json:"next,omitempty"`
}

// PlatformVerdict is the verdict on one platform of an index.
type PlatformVerdict struct {
	Platform string  `json:"platform"` // "os/architecture[/variant]"
	Digest   Digest  `json:"digest"`   // of the platform's manifest
	Verdict  Verdict `json:"verdict"`
}

// NextVerdict is what a later environment would say.
type NextVerdict struct {
	Environment string   `json:"environment"` // its name in the rules
	Verdict     Verdict  `json:"verdict"`
	Rules       []string `json:"rules"` // the rules that would refuse or could not be evaluated
}

// Verdict returns the verdict of the check: of the decision, else the worst of
// the road.
func (c *Check) Verdict() Verdict {
	if c.Decision != nil {
		return c.Decision.Verdict
	}
	worst := Allowed
	for i := range c.Road {
		if c.Road[i].Verdict.Worse(worst) {
			worst = c.Road[i].Verdict
		}
	}
	return worst
}

// Decisions returns the decision, or those of the road.
func (c *Check) Decisions() []Decision {
	if c.Decision != nil {
		return []Decision{*c.Decision}
	}
	return c.Road
}
