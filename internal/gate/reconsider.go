package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/record"
)

// factAdvisories is the kind of the one fact, of the key "index", that says up to
// which revision of the advisories everything that runs was decided: a reconsidered.
const factAdvisories = "advisories"

type reconsidered struct {
	Revision touchstone.Digest `json:"revision"`
}

// Reconsidered says what came of a change of the advisories. It is the body of an
// entry of the kind advisories.
type Reconsidered struct {
	From touchstone.Digest `json:"from,omitempty"` // the revision before; empty for the first
	To   touchstone.Digest `json:"to"`
	// Everything is true when the revision before is gone, so that nobody can say
	// what has changed and all that runs was decided again.
	Everything bool `json:"everything,omitempty"`
	Packages   int  `json:"packages"`  // about which something else is said than before
	Artifacts  int  `json:"artifacts"` // that hold any of them
	Running    int  `json:"running"`   // containers that were decided again
	Opened     int  `json:"opened"`    // findings
	Closed     int  `json:"closed"`
	// Worse and Better count containers by what something new would get in their
	// place.
	Worse  int `json:"worse"`
	Better int `json:"better"`
}

// pollAdvisories is how often the door looks whether the advisories have changed.
const pollAdvisories = 15 * time.Second

// watchAdvisories reconsiders whenever the advisories change, until the context
// ends.
func (d *Door) watchAdvisories(ctx context.Context) {
	for {
		if _, err := d.Reconsider(ctx); err != nil && ctx.Err() == nil {
			d.c.Log.Error("what runs could not be decided again after the advisories have changed", "error", err)
		}
		if !pause(ctx, nil, pollAdvisories) {
			return
		}
	}
}

// Reconsider decides again what is affected when the advisories have changed since
// the last time, and does nothing when they have not. It may be called at any
// time; what was written before an error stands, and the next call goes on.
//
// Affected is what holds a package about which something else is said than before,
// and what stands badly because the advisories were too old or did not cover it.
// For everything else the last answer holds on.
func (d *Door) Reconsider(ctx context.Context) (Reconsidered, error) {
	var out Reconsidered
	if err := d.load(ctx); err != nil {
		return out, err
	}
	d.again.mu.Lock()
	defer d.again.mu.Unlock()
	revision, err := d.c.Gate.Advisories.Current()
	if err != nil || revision == "" {
		return out, err
	}
	last, _, err := record.Get[reconsidered](ctx, d.c.Store, factAdvisories, "index")
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return out, fmt.Errorf("reading which advisories were considered: %w", err)
	}
	g, err := d.ground(ctx)
	if err != nil {
		return out, err
	}
	if last.Revision == revision && d.again.known == g.known {
		return out, nil
	}
	d.observed.observing.Lock() // what is seen from here on is judged by the new ones
	defer d.observed.observing.Unlock()
	if last.Revision == revision { // they were confirmed, and say what they said
		d.carryOver(g)
		d.again.known = g.known
		return out, nil
	}
	out.From, out.To = last.Revision, revision
	affected, err := d.affected(ctx, &out)
	if err != nil {
		return out, err
	}
	if err := d.decideAgain(ctx, g, affected, &out); err != nil {
		return out, fmt.Errorf("deciding again about what runs: %w", err)
	}
	if err := d.writeReconsidered(ctx, g, &out); err != nil {
		return out, err
	}
	d.carryOver(g)
	d.again.known, d.again.summary = g.known, d.again.next
	return out, nil
}

// affected returns which artifacts are to be decided again; nil for all.
func (d *Door) affected(ctx context.Context, out *Reconsidered) (map[string]bool, error) {
	d.again.next = nil
	keys, err := d.changed(ctx, out.From)
	if errors.Is(err, advisory.ErrNoIndex) || errors.Is(err, advisory.ErrDamaged) {
		out.Everything = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out.Packages = len(keys)
	artifacts, err := d.holding(ctx, keys)
	out.Artifacts = len(artifacts)
	return artifacts, err
}

// changed returns the packages about which the index says something else than a
// revision before.
func (d *Door) changed(ctx context.Context, from touchstone.Digest) (map[string]bool, error) {
	book, err := d.c.Road.Book(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the rules in force: %w", err)
	}
	epss := bounds(book.Rules)
	if !d.again.summary.Tells(from, epss) {
		old, err := d.c.Gate.Advisories.Revision(from)
		if err != nil {
			return nil, err
		}
		defer old.Close() //nolint:errcheck // it was only read
		if d.again.summary, err = old.Summary(nil, epss); err != nil {
			return nil, err
		}
	}
	now, err := d.c.Gate.Advisories.Index()
	if err != nil {
		return nil, err
	}
	defer now.Close() //nolint:errcheck // it was only read
	summary, err := now.Summary(d.again.summary, epss)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, k := range summary.Changes(d.again.summary) {
		keys[k.String()] = true
	}
	d.again.next = summary
	return keys, nil
}

// bounds are the limits by which the rules tell EPSS scores apart, ascending.
// Conditions may look at any score: a hundred steps stand for theirs.
func bounds(r *touchstone.Rules) []float64 {
	var out []float64
	if row := r.Row("epss"); row != nil {
		for _, c := range row.Cells {
			out = append(out, c.Limit.Value)
		}
	}
	if conditions(r) {
		for i := range 100 {
			out = append(out, float64(i)/100)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// decideAgain judges the containers that run any of the artifacts, by artifact and
// on all processors.
func (d *Door) decideAgain(ctx context.Context, g *ground, affected map[string]bool, out *Reconsidered) error {
	jobs := d.runningOf(affected)
	artifacts := slices.Sorted(maps.Keys(jobs))
	survey := d.c.Gate.survey(g.now)
	defer survey.close()
	var next atomic.Int64
	var sum sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			b := &batch{snapshot: snapshot{Door: d, g: g}, survey: survey}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(artifacts) {
					break
				}
				if err := b.take(ctx, artifacts[i], jobs[artifacts[i]]); err != nil {
					return fmt.Errorf("%s: %w", artifacts[i], err)
				}
				if len(b.facts) >= mostFacts {
					if err := b.commit(ctx); err != nil {
						return err
					}
				}
			}
			sum.Lock()
			defer sum.Unlock()
			out.Running, out.Opened, out.Closed = out.Running+b.Running, out.Opened+b.Opened, out.Closed+b.Closed
			out.Worse, out.Better = out.Worse+b.Worse, out.Better+b.Better
			return errors.Join(ctx.Err(), b.commit(ctx))
		})
	}
	return group.Wait()
}

// runningOf returns what runs any of the artifacts, nil standing for all, by
// artifact; and what stands badly for want of advisories.
func (d *Door) runningOf(affected map[string]bool) map[string][]*Observed {
	d.observed.mu.RLock()
	defer d.observed.mu.RUnlock()
	out := map[string][]*Observed{}
	for _, o := range d.observed.all {
		if o.Repository == "" || !o.Digest.Valid() {
			continue
		}
		artifact := o.artifact()
		if affected == nil || affected[artifact] || wanting(o) {
			out[artifact] = append(out[artifact], o)
		}
	}
	return out
}

// wanting reports whether what runs is judged by what the advisories lacked: newer
// ones may lack it no more, whatever they say of its packages.
func wanting(o *Observed) bool {
	return o.Verdict == touchstone.Undecided || slices.ContainsFunc(o.Failing, func(thing string) bool {
		return strings.HasPrefix(thing, "stale-advisories") || strings.HasPrefix(thing, "no-advisories")
	})
}

// batch is what one goroutine decides again.
type batch struct {
	snapshot
	Reconsidered
	survey *survey
}

// take judges the containers of one artifact.
func (b *batch) take(ctx context.Context, artifact string, all []*Observed) error {
	seen, err := b.look(ctx, artifact)
	if err != nil || seen == nil {
		return err
	}
	if err := b.prepare(ctx, seen); err != nil {
		return err
	}
	for _, o := range all {
		was, now, known := *o, *o, b.observed.on(o)
		b.cluster = o.Place.Cluster
		findings, err := b.judge(ctx, &now, seen)
		if errors.Is(err, errLost) {
			continue // the next snapshot has it scanned again
		}
		if err != nil {
			return err
		}
		for _, f := range known {
			if f.Rule == RuleAdmission || byGuard(f.Rule) {
				findings = append(findings, f) // how it came in, and what was done to it, stays as it was
			}
		}
		if err := b.find(&now, findings); err != nil {
			return err
		}
		b.Running++
		b.Opened += lacking(findings, known)
		b.Closed += lacking(known, findings)
		switch {
		case now.Verdict.Worse(was.Verdict):
			b.Worse++
		case was.Verdict.Worse(now.Verdict):
			b.Better++
		}
		if same(&was, &now) {
			continue
		}
		f, err := record.Put(factRunning, now.key(), &now, "ns:"+now.Place.Namespace, "artifact:"+now.artifact(), "owner:"+now.Place.Owner)
		if err != nil {
			return err
		}
		b.facts = append(b.facts, f)
		b.after = append(b.after, func() { b.observed.put(&now) })
	}
	return nil
}

// lacking counts the findings that another list does not have.
func lacking(of, in []touchstone.Finding) int {
	n := 0
	for _, f := range of {
		if !slices.ContainsFunc(in, func(o touchstone.Finding) bool { return o.Rule == f.Rule && o.Thing == f.Thing }) {
			n++
		}
	}
	return n
}

// prepare asks the advisories about the artifact's images once, for all that is
// judged next.
func (b *batch) prepare(ctx context.Context, seen *Seen) error {
	if b.c.Gate.VEX != nil {
		return nil // what is known depends on more than the evidence
	}
	all, err := b.inspected(seen, named{repository: seen.Repository, digest: seen.Digest})
	if errors.Is(err, errLost) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, in := range all {
		key := b.knowledgeKey(b.g, in)
		if _, ok := b.knowledge.get(key); ok {
			continue
		}
		k, err := b.survey.know(ctx, in)
		if err != nil {
			return err
		}
		b.knowledge.put(key, &k, knowledgeCost(&k))
	}
	return nil
}

// carryOver lets the judgements of what is not affected stand on the new ground,
// where the advisories alone have changed.
func (d *Door) carryOver(g *ground) {
	_, rest, _ := strings.Cut(g.known, " ")
	_, before, _ := strings.Cut(d.again.known, " ")
	if d.again.known == "" || rest != before {
		return
	}
	was, now := (&ground{rules: g.rules, known: d.again.known}).id(), g.id()
	d.observed.mu.Lock()
	defer d.observed.mu.Unlock()
	for key, j := range d.observed.judged {
		if o := d.observed.all[key]; o != nil && j.ground == was && !wanting(o) {
			j.ground = now
			d.observed.judged[key] = j
		}
	}
}

func (d *Door) writeReconsidered(ctx context.Context, g *ground, out *Reconsidered) error {
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	fact, err := record.Put(factAdvisories, "index", reconsidered{out.To})
	if err != nil {
		return err
	}
	_, err = d.c.Store.Commit(ctx, record.Change{
		ID: record.NewID(g.now), Kind: "advisories", Actor: self, About: string(out.To), Body: body, Facts: []record.Fact{fact},
	})
	if err != nil {
		return fmt.Errorf("writing down that the advisories were considered: %w", err)
	}
	d.c.Log.Info("the advisories have changed", "packages", out.Packages, "artifacts", out.Artifacts, "running", out.Running, "opened", out.Opened, "closed", out.Closed)
	return nil
}
