package touchstone

import (
	"slices"
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
	// Writable are the places of what runs that are written to as a matter of
	// course.
	Writable []Writable
	// Guard and Replace hold what the rules say to a guard, and about replacing what
	// runs. Rules that were not loaded from a file begin with DefaultGuarding and
	// DefaultReplacing.
	Guard   Guarding
	Replace Replacing
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
	// Grace is for how long after the start of what runs a row about acts on it only
	// alerts where it would block or kill.
	Grace time.Duration
	// ThroughFreezes is true for a deadline that no freeze holds up.
	ThroughFreezes bool
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
	// Announce is how long before its end a waiver is announced to lapse; zero
	// leaves that to whoever announces.
	Announce time.Duration
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
		if cell, ok := c.Cells[row.Name]; ok && slices.Contains(c.Where, r.Environments[env]) {
			return cell
		}
	}
	return row.Cells[env]
}

// Asks returns what the row with the name says in the place, its class included.
// It reports false where the rules have no such row.
func (r *Rules) Asks(name string, place *Place) (Cell, bool) {
	row := r.Row(name)
	if row == nil {
		return Cell{}, false
	}
	return r.cell(row, r.environment(place.Environment), place), true
}

// Before returns the environment that comes before the named one on the road, and
// "" for the first.
func (r *Rules) Before(environment string) string {
	if i := r.environment(environment); i > 0 {
		return r.Environments[i-1]
	}
	return ""
}
