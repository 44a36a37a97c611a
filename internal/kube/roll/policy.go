package roll

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rehydrate"
)

// hours keeps those of each environment: finding them takes a while.
type hours struct {
	mu  sync.Mutex
	all map[string]*rehydrate.Hours
}

// of returns those of what opens and closes an environment.
func (h *hours) of(windows, freezes []touchstone.Freeze) *rehydrate.Hours {
	if len(windows)+len(freezes) == 0 {
		return nil
	}
	key, err := json.Marshal([][]touchstone.Freeze{windows, freezes})
	if err != nil {
		return rehydrate.NewHours(windows, freezes)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	found, ok := h.all[string(key)]
	if !ok {
		const most = 100 // of old rules
		if h.all == nil || len(h.all) > most {
			h.all = map[string]*rehydrate.Hours{}
		}
		found = rehydrate.NewHours(windows, freezes)
		h.all[string(key)] = found
	}
	return found
}

// policies makes those of one book, each once.
type policies struct {
	book  *gate.Book
	now   time.Time
	hours *hours
	env   map[string]*rehydrate.Hours
	all   map[rehydrate.Policy]*rehydrate.Policy
}

func (h *hours) policies(book *gate.Book, now time.Time) *policies {
	return &policies{book: book, now: now, hours: h, env: map[string]*rehydrate.Hours{}, all: map[rehydrate.Policy]*rehydrate.Policy{}}
}

// of returns the policy of a place for a workload that runs these images.
func (p *policies) of(place *touchstone.Place, images []touchstone.Artifact) *rehydrate.Policy {
	r := p.book.Rules
	var one rehydrate.Policy
	one.After = p.limit(touchstone.RuleReplaceAfter, place, images, &one.Waived)
	one.Deadline = p.limit(touchstone.RuleReplaceDeadline, place, images, nil)
	if one.Waived != "" {
		one.Deadline = 0
	}
	one.Rebuild = p.limit(touchstone.RuleRebuildAfter, place, images, nil)
	if row := r.Row(touchstone.RuleReplaceDeadline); row != nil {
		one.ThroughFreezes = row.ThroughFreezes
	}
	if cell, ok := r.Asks(touchstone.RuleAfterDeadline, place); ok && cell.Effect == touchstone.EffectStop {
		one.Stop = p.waived(touchstone.RuleAfterDeadline, place, images) == ""
	}
	if one.Announce = p.replacing().Announce; one.Announce == 0 {
		one.Announce = -1
	}
	one.Hours = p.open(place.Environment)
	if known := p.all[one]; known != nil {
		return known
	}
	p.all[one] = &one
	return &one
}

// replacing is what the rules say besides their rows.
func (p *policies) replacing() touchstone.Replacing { return p.book.Rules.Replace }

// limit returns the length of time that a row allows here, and zero where it asks
// for nothing, begins later, or is waived.
func (p *policies) limit(rule string, place *touchstone.Place, images []touchstone.Artifact, waiver *string) time.Duration {
	row := p.book.Rules.Row(rule)
	cell, ok := p.book.Rules.Asks(rule, place)
	if !ok || cell.Effect.Soft() && cell.Effect != "" || cell.Limit.Op == "" || p.now.Before(row.From) {
		return 0
	}
	if by := p.waived(rule, place, images); by != "" {
		if waiver != nil {
			*waiver = by
		}
		return 0
	}
	return cell.Limit.Duration()
}

// waived returns the waiver that sets a row aside for all of the images.
func (p *policies) waived(rule string, place *touchstone.Place, images []touchstone.Artifact) string {
	by := ""
	for i := range images {
		w, ok := p.book.Rules.Waived(rule, place, &images[i], p.book.Waivers, p.now)
		if !ok {
			return ""
		}
		by = w.ID
	}
	return by
}

// open returns the hours of an environment.
func (p *policies) open(environment string) *rehydrate.Hours {
	if h, ok := p.env[environment]; ok {
		return h
	}
	about := func(list []touchstone.Freeze) []touchstone.Freeze {
		return slices.DeleteFunc(slices.Clone(list), func(f touchstone.Freeze) bool {
			return len(f.Environments) > 0 && !slices.Contains(f.Environments, environment)
		})
	}
	h := p.hours.of(about(p.replacing().Windows), append(about(p.book.Rules.Freezes), about(p.book.Freezes)...))
	p.env[environment] = h
	return h
}

// limits are the budgets of the rules.
func (p *policies) limits() rehydrate.Limits {
	b := p.replacing().Budget
	return rehydrate.Limits{Namespace: b.Namespace, Cluster: b.Cluster}
}
