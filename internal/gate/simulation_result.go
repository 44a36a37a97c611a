package gate

import (
	"cmp"
	"maps"
	"slices"

	"touchstone.dev/touchstone"
)

// result puts together what changes.
func (s *simulation) result() *Simulation {
	out := &Simulation{At: s.trial.At}
	refused, allowed := map[string][]VerdictChange{}, map[string][]VerdictChange{}
	note := func(c VerdictChange, from, to *answer) {
		c.From, c.To, c.Rules = from.verdict, to.verdict, difference(from, to)
		switch {
		case to.verdict.Worse(from.verdict):
			refused[owner(&c.Place)] = append(refused[owner(&c.Place)], c)
		case from.verdict.Worse(to.verdict) && to.verdict == touchstone.Allowed:
			allowed[owner(&c.Place)] = append(allowed[owner(&c.Place)], c)
		}
	}
	for _, one := range s.subjects {
		if one.to.verdict == "" {
			continue // its evidence is not there any more
		}
		out.Running += len(one.runs)
		for _, o := range one.runs {
			note(VerdictChange{Artifact: o.artifact(), Place: o.Place, Workload: o.Workload}, &one.from, &one.to)
		}
	}
	for _, p := range s.past {
		if p.lost {
			continue
		}
		out.Decisions++
		artifact := p.Artifact.Name
		if p.Artifact.Digest != "" {
			artifact = artifactKey(repository(p.Artifact), p.Artifact.Digest)
		}
		note(VerdictChange{Artifact: artifact, Place: p.Question.Place, Workload: p.Question.Workload, Decision: p.ID}, &p.from, &p.to)
	}
	out.Refused, out.Allowed = byOwner(refused), byOwner(allowed)
	return out
}

func owner(p *touchstone.Place) string { return cmp.Or(p.Owner, "nobody") }

// difference names the rules that make the difference: those that stop one of the
// two only; where the same ones stop both, all of them.
func difference(from, to *answer) []string {
	out := []string{}
	for _, side := range [][2]*answer{{from, to}, {to, from}} {
		for _, rule := range side[0].stops {
			if !slices.Contains(side[1].stops, rule) && !slices.Contains(out, rule) {
				out = append(out, rule)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, to.stops...)
	}
	slices.Sort(out)
	return out
}

func byOwner(all map[string][]VerdictChange) []OwnerChanges {
	out := []OwnerChanges{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		changes := all[name]
		slices.SortFunc(changes, func(a, b VerdictChange) int {
			return cmp.Or(
				cmp.Compare(a.Decision, b.Decision), cmp.Compare(a.Artifact, b.Artifact), cmp.Compare(a.Place.Cluster, b.Place.Cluster),
				cmp.Compare(a.Place.Namespace, b.Place.Namespace), cmp.Compare(a.Workload.Kind, b.Workload.Kind),
				cmp.Compare(a.Workload.Name, b.Workload.Name), cmp.Compare(a.Workload.Container, b.Workload.Container))
		})
		out = append(out, OwnerChanges{Owner: name, Changes: changes})
	}
	return out
}
