package gate

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// RuleAdmission is the rule of a finding that the door itself makes: what runs
// was never asked about. It came while the gate was away, or past it.
const RuleAdmission = "admission"

// Observed is a container that runs, and what is known of it. Several pods of one
// workload that run the same are one.
type Observed struct {
	Running
	Repository string `json:"repository,omitempty"` // of Reference; empty where that is no image's name
	// Verdict is what something new would get there today, and Failing what would
	// refuse it, as Decision.Refusing returns it. Both are empty while Seen is false.
	Verdict touchstone.Verdict `json:"verdict,omitempty"`
	Failing []string           `json:"failing,omitempty"`
	// The rest is not kept with it but filled in when it is listed.
	Seen     bool                 `json:"seen,omitempty"`
	Decision string               `json:"decision,omitempty"` // id of the one that let it in
	Taken    bool                 `json:"taken,omitempty"`    // it ran before the gate was there
	Findings []touchstone.Finding `json:"findings,omitempty"`
	Problem  string               `json:"problem,omitempty"` // why its scan has failed
}

// key names what runs.
func (o *Observed) key() string {
	return workloadKey(o.Place.Cluster, o.Place.Namespace, o.Workload) + " " + o.artifact()
}

func (o *Observed) artifact() string {
	if o.Repository == "" {
		return artifactKey(o.Reference, o.Digest)
	}
	return artifactKey(o.Repository, o.Digest)
}

// found are the findings on a digest in a workload. They outlast the pods, so that
// a clock does not begin anew with each restart.
type found struct {
	Cluster   string               `json:"cluster,omitempty"`
	Namespace string               `json:"namespace,omitempty"`
	Artifact  string               `json:"artifact"` // repository@digest
	Findings  []touchstone.Finding `json:"findings"`
	Gone      time.Time            `json:"gone,omitzero"` // when it was no longer seen to run
}

// forgetAfter is how long findings outlast what runs.
const forgetAfter = 7 * 24 * time.Hour

// observed is what runs, in memory beside the facts.
type observed struct {
	observing sync.Mutex // one snapshot is taken in at a time

	mu       sync.RWMutex
	all      map[string]*Observed
	workload map[string]map[string]*Observed // by workloadKey
	findings map[string]*found               // by key of the fact
	place    map[string]map[string]*found    // the same by cluster/namespace and artifact
	judged   map[string]judgement
	taints   map[string]*taint            // by key of the fact
	dirty    map[string]map[string]*taint // the same by what the finding is on
}

// judgement says on what ground a running container was judged.
type judgement struct {
	ground string
	seq    uint64 // of Seen
	until  time.Time
}

func newObserved() *observed {
	return &observed{
		all: map[string]*Observed{}, workload: map[string]map[string]*Observed{}, findings: map[string]*found{},
		place: map[string]map[string]*found{}, judged: map[string]judgement{},
		taints: map[string]*taint{}, dirty: map[string]map[string]*taint{},
	}
}

func (d *Door) loadRunning(ctx context.Context) error {
	for o, err := range record.List[Observed](ctx, d.c.Store, record.FactQuery{Kind: factRunning}) {
		if err != nil {
			return err
		}
		d.observed.put(&o.Content)
	}
	for f, err := range record.List[found](ctx, d.c.Store, record.FactQuery{Kind: factFinding}) {
		if err != nil {
			return err
		}
		d.observed.putFound(f.Key, &f.Content)
	}
	for t, err := range record.List[taint](ctx, d.c.Store, record.FactQuery{Kind: factTaint}) {
		if err != nil {
			return err
		}
		d.observed.taint(&t.Content)
	}
	return nil
}

func (v *observed) put(o *Observed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := o.key()
	v.all[key] = o
	w := workloadKey(o.Place.Cluster, o.Place.Namespace, o.Workload)
	if v.workload[w] == nil {
		v.workload[w] = map[string]*Observed{}
	}
	v.workload[w][key] = o
}

func (v *observed) remove(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	o, ok := v.all[key]
	if !ok {
		return
	}
	delete(v.all, key)
	delete(v.judged, key)
	w := workloadKey(o.Place.Cluster, o.Place.Namespace, o.Workload)
	if delete(v.workload[w], key); len(v.workload[w]) == 0 {
		delete(v.workload, w)
	}
}

// list returns copies of all, in the order of their keys.
func (v *observed) list() []Observed {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]Observed, 0, len(v.all))
	for _, key := range slices.Sorted(maps.Keys(v.all)) {
		out = append(out, *v.all[key])
	}
	return out
}

// in returns what runs in a namespace.
func (v *observed) in(cluster, namespace string) []Observed {
	return slices.DeleteFunc(v.list(), func(o Observed) bool { return o.Place.Cluster != cluster || o.Place.Namespace != namespace })
}

// of returns what runs in a container of a workload, what came last first.
func (v *observed) of(cluster, namespace string, w touchstone.Workload) []Observed {
	v.mu.RLock()
	defer v.mu.RUnlock()
	own := v.workload[workloadKey(cluster, namespace, w)]
	if len(own) == 0 {
		return nil
	}
	out := make([]Observed, 0, len(own))
	for _, o := range own {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Observed) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return strings.Compare(a.key(), b.key())
	})
	return out
}

func placeKey(cluster, namespace, artifact string) string {
	return cluster + "/" + namespace + " " + artifact
}

func findingKey(p *touchstone.Place, w touchstone.Workload, artifact string) string {
	return workloadKey(p.Cluster, p.Namespace, w) + " " + artifact
}

// open returns what fails on a digest in a namespace, and since when it first did
// in any workload there: that is the clock of all of them.
func (v *observed) open(cluster, namespace, artifact string) []touchstone.Finding {
	v.mu.RLock()
	defer v.mu.RUnlock()
	type thing struct{ rule, thing string }
	first := map[thing]touchstone.Finding{}
	for _, f := range v.place[placeKey(cluster, namespace, artifact)] {
		for _, one := range f.Findings {
			k := thing{one.Rule, one.Thing}
			if known, ok := first[k]; !ok || one.Since.Before(known.Since) {
				first[k] = one
			}
		}
	}
	out := slices.Collect(maps.Values(first))
	sortFindings(out)
	return out
}

func sortFindings(list []touchstone.Finding) {
	slices.SortFunc(list, func(a, b touchstone.Finding) int {
		if c := strings.Compare(a.Rule, b.Rule); c != 0 {
			return c
		}
		return strings.Compare(a.Thing, b.Thing)
	})
}

// merged is what fails now, each since it first did; the door's own findings,
// unless own says otherwise; and what guards have seen on what runs still.
func (v *observed) merged(p *touchstone.Place, w touchstone.Workload, artifact string, now []touchstone.Finding) []touchstone.Finding {
	known := v.open(p.Cluster, p.Namespace, artifact)
	out := slices.DeleteFunc(slices.Clone(now), func(f touchstone.Finding) bool { return byGuard(f.Rule) })
	for i := range out {
		for _, k := range known {
			if k.Rule == out[i].Rule && k.Thing == out[i].Thing && k.Since.Before(out[i].Since) {
				out[i].Since = k.Since
			}
		}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if f := v.findings[findingKey(p, w, artifact)]; f != nil {
		for _, one := range f.Findings {
			if one.Rule == RuleAdmission && !slices.ContainsFunc(out, func(o touchstone.Finding) bool { return o.Rule == RuleAdmission }) {
				out = append(out, one)
			}
		}
	}
	out = append(out, v.seenByGuards(findingKey(p, w, artifact))...)
	sortFindings(out)
	// What is known and found anew is one.
	return slices.CompactFunc(out, func(a, b touchstone.Finding) bool { return a.Rule == b.Rule && a.Thing == b.Thing })
}

// finding is the fact that says what fails now; changed is false where that is
// known.
func (v *observed) finding(p *touchstone.Place, w touchstone.Workload, artifact string, now []touchstone.Finding) (fact record.Fact, changed bool, err error) {
	key := findingKey(p, w, artifact)
	list := v.merged(p, w, artifact, now)
	v.mu.RLock()
	old := v.findings[key]
	v.mu.RUnlock()
	if old == nil && len(list) == 0 || old != nil && old.Gone.IsZero() && slices.EqualFunc(old.Findings, list, sameFinding) {
		return fact, false, nil
	}
	if len(list) == 0 {
		return record.Fact{Kind: factFinding, Key: key}, true, nil
	}
	fact, err = record.Put(factFinding, key, found{p.Cluster, p.Namespace, artifact, list, time.Time{}}, "ns:"+p.Namespace, "artifact:"+artifact)
	return fact, true, err
}

func sameFinding(a, b touchstone.Finding) bool {
	return a.Rule == b.Rule && a.Thing == b.Thing && a.Since.Equal(b.Since) && a.Deadline.Equal(b.Deadline)
}

// found remembers what finding has made a fact of.
func (v *observed) found(p *touchstone.Place, w touchstone.Workload, artifact string, now []touchstone.Finding) {
	v.putFound(findingKey(p, w, artifact), &found{p.Cluster, p.Namespace, artifact, v.merged(p, w, artifact, now), time.Time{}})
}

func (v *observed) putFound(key string, f *found) {
	v.mu.Lock()
	defer v.mu.Unlock()
	place := placeKey(f.Cluster, f.Namespace, f.Artifact)
	if len(f.Findings) == 0 {
		delete(v.findings, key)
		if delete(v.place[place], key); len(v.place[place]) == 0 {
			delete(v.place, place)
		}
		return
	}
	if v.place[place] == nil {
		v.place[place] = map[string]*found{}
	}
	v.findings[key], v.place[place][key] = f, f
}

// on returns the findings on what runs.
func (v *observed) on(o *Observed) []touchstone.Finding {
	return v.onKey(findingKey(&o.Place, o.Workload, o.artifact()))
}

func (v *observed) onKey(key string) []touchstone.Finding {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if f := v.findings[key]; f != nil {
		return slices.Clone(f.Findings)
	}
	return nil
}
