package touchstone

import (
	"slices"
	"strings"
)

// PlaceRule says what the places are that match its patterns. An empty pattern
// matches everything.
type PlaceRule struct {
	Cluster, Namespace, Node string            // patterns for MatchName
	Labels                   map[string]string // of the namespace; values are patterns
	Place                    Place             // Environment, Class, Sensitivity, Exposure, Owner
}

// PlaceOf finds the place for what is known of where a thing is to run: the
// first matching row decides; what maps to nothing is the last environment and
// an application. labels are the namespace's.
func (r *Rules) PlaceOf(cluster, namespace, node string, labels map[string]string) Place {
	if i := r.PlaceRow(cluster, namespace, node, labels); i > 0 {
		p := r.Places[i-1].Place
		p.Cluster, p.Namespace, p.Node = cluster, namespace, node
		return r.completed(p, "because the row of places that matches names none")
	}
	return r.completed(Place{Cluster: cluster, Namespace: namespace, Node: node}, "because no row of places matches")
}

// PlaceRow returns the number of the row of places that decides, from 1; 0 when
// none matches.
func (r *Rules) PlaceRow(cluster, namespace, node string, labels map[string]string) int {
	fits := func(pattern, value string) bool { return pattern == "" || value != "" && MatchName(pattern, value) }
	for i := range r.Places {
		row := &r.Places[i]
		ok := fits(row.Cluster, cluster) && fits(row.Namespace, namespace) && fits(row.Node, node)
		for k, v := range row.Labels {
			ok = ok && fits(v, labels[k])
		}
		if ok {
			return i + 1
		}
	}
	return 0
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

// The labels by which a workload says of itself what place it needs.
const (
	LabelEnvironment = "touchstone.dev/environment"
	LabelClass       = "touchstone.dev/class"
	LabelExposure    = "touchstone.dev/exposure"
	LabelSensitivity = "touchstone.dev/sensitivity"
)

// Stricter returns the place with what a workload says of itself by its labels,
// as far as that makes it stricter: a later environment, or the class application
// in place of a looser one, where no row is milder for it; a wider exposure; a
// sensitivity where there is none. What
// would make it milder is not followed, and Assumed says so.
func (r *Rules) Stricter(p Place, labels map[string]string) Place {
	p.Assumed = slices.Clone(p.Assumed)
	ignored := func(label string) {
		p.Assumed = append(p.Assumed, "the label "+label+"="+labels[label]+" of the workload is not followed: it would not make its place stricter")
	}
	if env := labels[LabelEnvironment]; env != "" && env != p.Environment {
		as := p
		as.Environment = env
		if i := slices.Index(r.Environments, env); i > r.environment(p.Environment) && !r.milder(&as, &p) {
			p.Environment = env
		} else {
			ignored(LabelEnvironment)
		}
	}
	if class := Class(labels[LabelClass]); class != "" && class != p.Class {
		as := p
		as.Class = class
		if class == ClassApplication && p.Class != ClassSystem && !r.milder(&as, &p) {
			p.Class = class
		} else {
			ignored(LabelClass)
		}
	}
	if exposure := Exposure(labels[LabelExposure]); exposure != "" && exposure != p.Exposure {
		if exposure.width() < 4 && exposure.width() > p.Exposure.width() || p.Exposure == ExposureUnknown && exposure == ExposureOpen {
			p.Exposure = exposure
			p.Assumed = slices.DeleteFunc(p.Assumed, func(s string) bool { return strings.HasPrefix(s, "exposure ") })
		} else {
			ignored(LabelExposure)
		}
	}
	if sensitivity := labels[LabelSensitivity]; sensitivity != "" && sensitivity != p.Sensitivity {
		if p.Sensitivity == "" {
			p.Sensitivity = sensitivity
		} else {
			ignored(LabelSensitivity)
		}
	}
	return p
}

// milder reports whether any row says something milder in one place than in the
// other.
func (r *Rules) milder(p, than *Place) bool {
	here, there := r.environment(p.Environment), r.environment(than.Environment)
	return slices.ContainsFunc(r.Rows, func(row Rule) bool {
		return r.cell(&row, here, p).Milder(r.cell(&row, there, than))
	})
}

// width orders exposures, narrow to wide; nobody knows how wide an unknown one
// is.
func (e Exposure) width() int {
	switch e {
	case ExposureInternal:
		return 1
	case ExposureControlled:
		return 2
	case ExposureOpen:
		return 3
	default:
		return 4
	}
}
