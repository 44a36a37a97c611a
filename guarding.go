package touchstone

import (
	"slices"
	"time"
)

// Guarding is what the rules say to a guard besides their rows.
type Guarding struct {
	// KeepFiles is up to how many bytes of changed and unknown executables are kept
	// as evidence before something is stopped; 0 keeps none.
	KeepFiles int64
	// KeepData keeps the contents of other files as well, within KeepFiles.
	KeepData bool
	// MostStops is how many containers of one node may be stopped within a minute;
	// what is beyond is only told. 0 stops none.
	MostStops int
	// DryRun is for how many clean days a kill acts as block; 0 kills at once.
	DryRun time.Duration
	// Managed declares the configuration management of hosts, whose changes are no
	// drift.
	Managed []Managed
}

// Managed is one declared configuration management: the programs that fit, and
// whatever they start.
type Managed struct {
	By      string // what it is called: "puppet"
	Program string // pattern for MatchPath of the program's path
}

// DefaultGuarding returns what holds where the rules say nothing: 10 MB of
// executables and no data, ten stops in a minute, seven days of dry run.
func DefaultGuarding() Guarding {
	return Guarding{KeepFiles: 10e6, MostStops: 10, DryRun: 7 * 24 * time.Hour}
}

// manages reports whether a configuration management of that name is declared.
func (g *Guarding) manages(by string) bool {
	return by != "" && slices.ContainsFunc(g.Managed, func(m Managed) bool { return m.By == by })
}

// Writable declares places of what runs that are written to as a matter of course:
// there, only what can be executed counts as a change.
type Writable struct {
	// Image is a pattern for MatchName of the artifact's name; empty means any.
	Image string
	Paths []string // patterns for MatchPath
	// Cluster and Namespace are patterns for MatchName; empty means any.
	Cluster, Namespace string
	Class              Class    // empty means any
	Environments       []string // empty means all
	Because            string   // why it is written to
	Owner              string   // who answers for it
}

// at reports whether the declaration is about what runs in the place under the name.
func (w *Writable) at(p *Place, artifact string) bool {
	fits := func(pattern, value string) bool { return pattern == "" || value != "" && MatchName(pattern, value) }
	return fits(w.Image, artifact) && fits(w.Cluster, p.Cluster) && fits(w.Namespace, p.Namespace) &&
		(w.Class == "" || w.Class == p.Class) &&
		(len(w.Environments) == 0 || slices.Contains(w.Environments, p.Environment))
}

// WritableIn returns the patterns, for MatchPath, of what is declared writable in
// the place for the artifact of that name.
func (r *Rules) WritableIn(p *Place, artifact string) []string {
	var out []string
	for i := range r.Writable {
		if w := &r.Writable[i]; w.at(p, artifact) {
			out = append(out, w.Paths...)
		}
	}
	return out
}

// writable reports whether the path is declared writable.
func (r *Rules) writable(p *Place, artifact, path string) bool {
	for i := range r.Writable {
		w := &r.Writable[i]
		if w.at(p, artifact) && slices.ContainsFunc(w.Paths, func(pattern string) bool { return MatchPath(pattern, path) }) {
			return true
		}
	}
	return false
}
