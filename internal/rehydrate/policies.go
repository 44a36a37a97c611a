package rehydrate

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"touchstone.dev/touchstone"
)

// Calendars keep the Hours of each environment from one plan to the next: finding
// them takes a while. The zero value is ready; it may be used from many goroutines.
type Calendars struct {
	mu  sync.Mutex
	all map[string]*Hours
}

// of returns those of what opens and closes an environment.
func (h *Calendars) of(windows, freezes []touchstone.Freeze) *Hours {
	if len(windows)+len(freezes) == 0 {
		return nil
	}
	key, err := json.Marshal([][]touchstone.Freeze{windows, freezes})
	if err != nil {
		return NewHours(windows, freezes)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	found, ok := h.all[string(key)]
	if !ok {
		const most = 100 // of old rules
		if h.all == nil || len(h.all) > most {
			h.all = map[string]*Hours{}
		}
		found = NewHours(windows, freezes)
		h.all[string(key)] = found
	}
	return found
}

// Policies makes those of the rules at a moment, each once.
type Policies struct {
	rules   *touchstone.Rules
	waivers []touchstone.Waiver
	freezes []touchstone.Freeze
	now     time.Time
	hours   *Calendars
	env     map[string]*Hours
	all     map[Policy]*Policy
}

// Policies returns those of the rules, with the waivers that hold and the freezes that
// people have declared.
func (h *Calendars) Policies(r *touchstone.Rules, waivers []touchstone.Waiver, freezes []touchstone.Freeze, now time.Time) *Policies {
	return &Policies{rules: r, waivers: waivers, freezes: freezes, now: now, hours: h, env: map[string]*Hours{}, all: map[Policy]*Policy{}}
}

// Of returns the policy of a place for a workload that runs these images: a waiver
// counts where one is there for each of them.
func (p *Policies) Of(place *touchstone.Place, images []touchstone.Artifact) *Policy {
	r := p.rules
	var one Policy
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
func (p *Policies) replacing() touchstone.Replacing { return p.rules.Replace }

// limit returns the length of time that a row allows here, and zero where it asks
// for nothing, begins later, or is waived.
func (p *Policies) limit(rule string, place *touchstone.Place, images []touchstone.Artifact, waiver *string) time.Duration {
	row := p.rules.Row(rule)
	cell, ok := p.rules.Asks(rule, place)
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
func (p *Policies) waived(rule string, place *touchstone.Place, images []touchstone.Artifact) string {
	by := ""
	for i := range images {
		w, ok := p.rules.Waived(rule, place, &images[i], p.waivers, p.now)
		if !ok {
			return ""
		}
		by = w.ID
	}
	return by
}

// open returns the hours of an environment.
func (p *Policies) open(environment string) *Hours {
	if h, ok := p.env[environment]; ok {
		return h
	}
	about := func(list []touchstone.Freeze) []touchstone.Freeze {
		return slices.DeleteFunc(slices.Clone(list), func(f touchstone.Freeze) bool {
			return len(f.Environments) > 0 && !slices.Contains(f.Environments, environment)
		})
	}
	h := p.hours.of(about(p.replacing().Windows), append(about(p.rules.Freezes), about(p.freezes)...))
	p.env[environment] = h
	return h
}

// Limits are the budgets of the rules.
func (p *Policies) Limits() Limits {
	b := p.replacing().Budget
	return Limits{Workload: b.Workload, Namespace: b.Namespace, Cluster: b.Cluster}
}
