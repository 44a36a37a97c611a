package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// The kinds of fact that promotions are kept in.
const (
	factPromotion = "promotion"
	factPromoted  = "promoted" // so that nothing is promoted twice
)

// Promotions implements gate.Road. Every pod that asks has it read, so what was
// read is kept until somebody writes.
func (r *Release) Promotions(ctx context.Context, repository string, d touchstone.Digest) ([]touchstone.Promotion, error) {
	name, generation := repository+"@"+string(d), r.generation.Load()
	if out, ok := r.promotions.get(generation, name); ok {
		return out, nil
	}
	var out []touchstone.Promotion
	q := record.FactQuery{Kind: factPromotion, Tags: []string{"of:" + name}, Descending: true}
	for doc, err := range record.List[touchstone.Promotion](ctx, r.c.Store, q) {
		if err != nil {
			return nil, fmt.Errorf("looking up the promotions of %s@%s: %w", repository, d.Short(), err)
		}
		out = append(out, doc.Content)
	}
	r.promotions.put(generation, name, out)
	return out, nil
}

// promotions are those of artifacts that were asked for lately, as they were read
// at a generation.
type promotions struct {
	mu         sync.Mutex
	generation uint64
	of         map[string][]touchstone.Promotion
}

// mostKnown artifacts are kept, and then none.
const mostKnown = 5000

func (k *promotions) get(generation uint64, name string) ([]touchstone.Promotion, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	out, ok := k.of[name]
	return slices.Clone(out), ok && k.generation == generation
}

// put keeps what was read after the generation was looked at.
func (k *promotions) put(generation uint64, name string, read []touchstone.Promotion) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if generation < k.generation {
		return
	}
	if k.of == nil || k.generation != generation || len(k.of) >= mostKnown {
		k.generation, k.of = generation, map[string][]touchstone.Promotion{}
	}
	k.of[name] = slices.Clone(read)
}

// PromotionQuery selects promotions; empty fields select all.
type PromotionQuery struct {
	Artifact    string // a repository, or repository@digest
	Environment string
	After       string // where the page before says that the next goes on
	Limit       int    // 100 when zero
}

// PromotionsList lists promotions, the newest first, and says where the next page
// goes on.
func (r *Release) PromotionsList(ctx context.Context, q PromotionQuery) (items []touchstone.Promotion, next string, err error) {
	facts := record.FactQuery{Kind: factPromotion, After: q.After, Descending: true, Limit: pageSize(q.Limit) + 1}
	switch {
	case strings.Contains(q.Artifact, "@"):
		facts.Tags = append(facts.Tags, "of:"+q.Artifact)
	case q.Artifact != "":
		facts.Tags = append(facts.Tags, "artifact:"+q.Artifact)
	}
	if q.Environment != "" {
		facts.Tags = append(facts.Tags, "environment:"+q.Environment)
	}
	for doc, err := range record.List[touchstone.Promotion](ctx, r.c.Store, facts) {
		if err != nil {
			return nil, "", fmt.Errorf("listing promotions: %w", err)
		}
		items = append(items, doc.Content)
	}
	items, next = page(items, facts.Limit-1, func(p touchstone.Promotion) string { return p.ID })
	return items, next, nil
}

// promoted returns the promotion that lets the thing into the environment, or nil.
func (r *Release) promoted(ctx context.Context, t *thing, environment string) (*touchstone.Promotion, error) {
	id, _, err := record.Get[string](ctx, r.c.Store, factPromoted, environment+"/"+t.name())
	if errors.Is(err, record.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking up whether %s is promoted: %w", t.name(), err)
	}
	p, _, err := record.Get[touchstone.Promotion](ctx, r.c.Store, factPromotion, id)
	if err != nil {
		return nil, fmt.Errorf("reading the promotion %s: %w", id, err)
	}
	return &p, nil
}

// promotes makes the changes that let things into an environment. by is who asked;
// the actor is whoever brought it about.
func (r *Release) promotes(things []*thing, environment, by string, actor Person) ([]record.Change, []touchstone.Promotion, error) {
	var changes []record.Change
	var made []touchstone.Promotion
	for _, t := range things {
		now := r.c.Now().UTC()
		p := touchstone.Promotion{
			ID: record.NewID(now), Artifact: t.repository, Digest: t.digest, Environment: environment,
			By: by, At: now, Decision: t.answer.ID,
		}
		own, err := put(factPromotion, p.ID, p, record.Condition{Absent: true},
			"of:"+t.name(), "artifact:"+t.repository, "environment:"+environment)
		if err != nil {
			return nil, nil, err
		}
		once, err := put(factPromoted, environment+"/"+t.name(), p.ID, record.Condition{Absent: true})
		if err != nil {
			return nil, nil, err
		}
		c, err := change("promotion", actor, t.name(), p, own, once)
		if err != nil {
			return nil, nil, err
		}
		changes, made = append(changes, c), append(made, p)
	}
	return changes, made, nil
}
