package touchstone

import (
	"fmt"
	"strconv"
	"time"
)

// Rules are the rules of the road: one table of rules × environments.
type Rules struct {
	// Version is the SHA-256 of the file that they were loaded from.
	Version Digest
	// Environments is the order of promotion, mild to strict.
	Environments []string
	Places       []PlaceRule
	Rows         []Rule
	Classes      []ClassRule
	Waiving      WaiverPolicy
	// Golden are the rules for bases that are to be approved: the same table
	// with the one environment "golden".
	Golden *Rules
	// Copies groups repositories that hold copies of the same thing; each group
	// lists patterns for MatchName.
	Copies map[string][]string
	// Freezes are the recurring or dated times in which nothing new enters, as the
	// file declares them.
	Freezes []Freeze
	// Windows are the only times in which something new enters the environments
	// that they name; an environment that none names is always open. A freeze
	// beats a window.
	Windows []Freeze
	// VEXAuthors are those whose VEX statements count, as documents name them.
	VEXAuthors []string
}

// Rule is one row: what is measured, and what happens in each environment.
type Rule struct {
	Name string
	// Cells has one cell for each environment, in the order of
	// Rules.Environments.
	Cells   []Cell
	Because string   // why the rule is there
	Owner   string   // who answers for it
	Fix     string   // what puts it right, when the measure does not know better
	Aligns  []string // the controls that it serves
	// From is when the rule begins to refuse; until then it warns. Zero means
	// always.
	From time.Time
	// List holds the names that the rule is about: packages, licences,
	// registries, paths; patterns for MatchName where the measure says so.
	List []string
	// When is the condition of a custom rule, which fails where it holds; nil
	// for the built-in ones.
	When Condition
	// Implied is true for a row that the file does not have: the five about
	// ignorance are always asked.
	Implied bool
}

// Condition is the compiled condition of a custom rule.
type Condition interface {
	// Holds reports whether the condition is true of the case. An error makes
	// the rule's outcome unknown, which is never a pass.
	Holds(*Case) (bool, error)
}

// Cell says what happens in one environment.
type Cell struct {
	// Effect is what follows when the rule fails.
	Effect Effect
	// Limit is what the measure may reach; Limit.Op is empty where the rule is
	// a fault that is either there or not.
	Limit Limit
	// After is how long after it became known a failing match only warns.
	After time.Duration
	// Group is whose approvals count ("2 of release"); Limit says how many.
	Group string
}

// Effect is what a failing rule brings about.
type Effect string

// The effects of a cell and of a reason.
const (
	EffectNone    Effect = "none" // any, allow
	EffectWarn    Effect = "warn"
	EffectRefuse  Effect = "refuse"
	EffectApprove Effect = "approve" // refused unless approved
	EffectAlert   Effect = "alert"   // what runs: tell
	EffectBlock   Effect = "block"   // what runs: stop the act
	EffectKill    Effect = "kill"    // what runs: stop the container
)

// Op compares a measure with a limit.
type Op string

// The comparisons.
const (
	AtMost  Op = "at most"
	Below   Op = "below"
	AtLeast Op = "at least"
)

// Limit is the bound of a measure. Durations are in hours.
type Limit struct {
	Op    Op
	Value float64
	Unit  Unit
}

// Unit is the unit of a limit.
type Unit string

// The units.
const (
	UnitNone Unit = ""
	UnitTime Unit = "h"
)

// Allows reports whether v keeps within the limit.
func (l Limit) Allows(v float64) bool {
	switch l.Op {
	case AtMost:
		return v <= l.Value
	case Below:
		return v < l.Value
	case AtLeast:
		return v >= l.Value
	default:
		return true
	}
}

// String returns the limit as the rules file writes it: "at most 30d".
func (l Limit) String() string {
	if l.Op == "" {
		return ""
	}
	if l.Unit == UnitTime {
		return string(l.Op) + " " + Days(l.Duration())
	}
	return string(l.Op) + " " + strconv.FormatFloat(l.Value, 'f', -1, 64)
}

// Duration returns the limit's value as a length of time.
func (l Limit) Duration() time.Duration { return time.Duration(l.Value * float64(time.Hour)) }

// String returns the cell as the rules file writes it.
func (c Cell) String() string {
	s := c.Limit.String()
	switch {
	case s != "" && c.Effect != EffectRefuse && c.Effect != "":
		s += " else " + string(c.Effect)
	case s != "":
	case c.Effect == EffectNone:
		s = "allow"
	default:
		s = string(c.Effect)
	}
	if c.After > 0 {
		s += " after " + Days(c.After)
	}
	return s
}

// Days writes a length of time as rules do: whole days, else hours.
func Days(d time.Duration) string {
	if d != 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// PlaceRule says what the places are that match its patterns. An empty pattern
// matches everything.
type PlaceRule struct {
	Cluster, Namespace, Node string            // patterns for MatchName
	Labels                   map[string]string // of the namespace; values are patterns
	Place                    Place             // Environment, Class, Sensitivity, Exposure, Owner
}

// ClassRule loosens or tightens rows for a class of workload, in the named
// environments alone.
type ClassRule struct {
	Class Class
	Where []string // environments
	Cells map[string]Cell
}

// WaiverPolicy bounds waivers.
type WaiverPolicy struct {
	Longest    []time.Duration // one for each environment; zero means no bound
	ApprovedBy string          // group that must approve; "" means nobody
	Never      []string        // rules that are never waived
}

// environment returns the index of an environment, and of the last, strictest
// one when the name is unknown.
func (r *Rules) environment(name string) int {
	for i, e := range r.Environments {
		if e == name {
			return i
		}
	}
	return len(r.Environments) - 1
}

// Row returns the row with the name, or nil.
func (r *Rules) Row(name string) *Rule {
	for i := range r.Rows {
		if r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	return nil
}

// cell returns what the row says for the place, its class included.
func (r *Rules) cell(row *Rule, env int, place *Place) Cell {
	for i := range r.Classes {
		c := &r.Classes[i]
		if c.Class != place.Class {
			continue
		}
		cell, ok := c.Cells[row.Name]
		if !ok {
			continue
		}
		for _, w := range c.Where {
			if w == r.Environments[env] {
				return cell
			}
		}
	}
	return row.Cells[env]
}

// MatchName reports whether name fits the pattern: "*" stands for any run of
// characters, slashes included, and everything else for itself. A pattern
// without "*" also fits what follows it after "/", ":" or "@", so that
// "registry.example/shop" covers "registry.example/shop/cart:1.4".
func MatchName(pattern, name string) bool {
	if pattern == "" {
		return false
	}
	star := false
	p, n, back, from := 0, 0, 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back, from = true, p+1, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
		case p == len(pattern) && !star && (name[n] == '/' || name[n] == ':' || name[n] == '@'):
			return true
		case star:
			from++
			p, n = back, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// PlaceOf finds the place for what is known of where a thing is to run: the
// first matching row decides; what maps to nothing is the last environment and
// an application. labels are the namespace's.
func (r *Rules) PlaceOf(cluster, namespace, node string, labels map[string]string) Place {
	fits := func(pattern, value string) bool { return pattern == "" || value != "" && MatchName(pattern, value) }
	for i := range r.Places {
		row := &r.Places[i]
		ok := fits(row.Cluster, cluster) && fits(row.Namespace, namespace) && fits(row.Node, node)
		for k, v := range row.Labels {
			ok = ok && fits(v, labels[k])
		}
		if !ok {
			continue
		}
		p := row.Place
		p.Cluster, p.Namespace, p.Node = cluster, namespace, node
		return r.completed(p, "because the row of places that matches names none")
	}
	return r.completed(Place{Cluster: cluster, Namespace: namespace, Node: node}, "because no row of places matches")
}

// PlaceIn returns the place that only its environment is known of.
func (r *Rules) PlaceIn(environment string) Place {
	return r.completed(Place{Environment: environment}, "because nobody named one")
}

func (r *Rules) completed(p Place, why string) Place {
	p.Assumed = []string{}
	if p.Environment == "" {
		p.Environment = r.Environments[len(r.Environments)-1]
		p.Assumed = append(p.Assumed, "environment "+p.Environment+", the strictest, "+why)
	}
	if p.Class == "" {
		p.Class = ClassApplication
		p.Assumed = append(p.Assumed, "class application")
	}
	if p.Exposure == ExposureUnknown {
		p.Assumed = append(p.Assumed, "exposure unknown: any, for the order of what to fix first")
	}
	return p
}
