package rehydrate

import "fmt"

// decide says what is done now about something that is due: it is held, or it takes
// its place among what is under way.
func (p *planning) decide(d *Due) {
	w := d.Workload
	for _, look := range []func(*Due) Hold{p.means, p.open, p.failed, p.healthy, p.modest, p.guarded, p.itself, p.alone, p.within, p.follower} {
		if d.Hold = look(d); d.Hold != HoldNone {
			return
		}
	}
	// Its place is kept while the gate is asked.
	p.begin(w.Identity, w.Services, w.Guards, w.Takes)
}

// means holds what cannot be replaced whatever the gate says.
func (p *planning) means(d *Due) Hold {
	switch w := d.Workload; {
	case w.Stuck != "":
		d.More = w.Stuck
		return HoldStuck
	case w.Means == Bare && !(d.Forced && w.Policy.Stop):
		return HoldBare
	case w.Means == Job && !d.Forced:
		d.Until = d.Hard
		return HoldJob
	default:
		return HoldNone
	}
}

// open holds outside of the hours.
func (p *planning) open(d *Due) Hold {
	h := d.Workload.Policy.Hours
	now, known := p.hours[h]
	if !known {
		now.shut, now.frozen, now.until = h.Shut(p.now)
		if now.frozen {
			_, now.thaws = h.Frozen(p.now)
		}
		p.hours[h] = now
	}
	switch {
	case now.frozen && !(d.Forced && d.Workload.Policy.ThroughFreezes):
		if d.Until = now.until; d.Forced {
			d.Until = now.thaws
		}
		return HoldFreeze
	case now.shut && !now.frozen && !d.Forced:
		d.Until = now.until
		return HoldWindow
	default:
		return HoldNone
	}
}

// failed holds for a while what was tried in vain. The deadline does not lift it:
// what does not become ready then is put back again.
func (p *planning) failed(d *Due) Hold {
	m := p.memory[d.Workload.Identity]
	if m == nil || m.Failed == 0 {
		return HoldNone
	}
	pause := p.limits.pause(m.Failed)
	until := m.FailedAt.Add(pause)
	// A clock may have been put back since, but not by so much that it waits for ever.
	if !p.now.Before(until) || m.FailedAt.Sub(p.now) > pause {
		return HoldNone
	}
	d.Until, d.More = until, m.Problem
	return HoldFailed
}

// healthy holds while the workload is not well, and where nothing of it would be
// ready meanwhile.
func (p *planning) healthy(d *Due) Hold {
	w := d.Workload
	switch {
	case d.Forced || w.Means == Job:
		return HoldNone
	case w.Ready < w.Wanted:
		d.More = fmt.Sprintf("%d of %d are ready", w.Ready, w.Wanted)
		return HoldUnready
	case w.Takes > 0 && w.Ready-w.Takes < 1:
		d.Until = d.Hard
		return HoldSingle
	default:
		return HoldNone
	}
}

// modest holds where the strategy of the workload takes more of it at once than the
// budget of a workload lets be away.
func (p *planning) modest(d *Due) Hold {
	w := d.Workload
	most := p.limits.Workload.Of(w.Wanted)
	if d.Forced || w.Takes <= most || w.Takes <= 1 {
		return HoldNone
	}
	d.Until, d.More = d.Hard, fmt.Sprintf("it takes %d of %d away at once, and the budget of a workload is %s", w.Takes, w.Wanted, p.limits.Workload)
	return HoldStrategy
}

// guarded holds where a disruption budget does not let go what is taken.
func (p *planning) guarded(d *Due) Hold {
	w := d.Workload
	if d.Forced || w.Takes == 0 {
		return HoldNone
	}
	for _, g := range w.Guards {
		left := p.left[g]
		if left-p.used[g] >= w.Takes {
			continue
		}
		d.More = fmt.Sprintf("%s lets %d go now, and %d would be away", g, max(left-p.used[g], 0), w.Takes)
		if left <= 0 {
			d.More = g + " allows nothing"
		}
		d.Until = d.Hard
		return HoldGuard
	}
	return HoldNone
}

// itself holds the gate while no other of it would answer. No deadline lifts that.
func (p *planning) itself(d *Due) Hold {
	if w := d.Workload; w.Gate && (w.Takes > 0 || w.Ready < 2 || w.Means != Rollout) {
		return HoldGate
	}
	return HoldNone
}

// alone holds while another workload of its service is replaced.
func (p *planning) alone(d *Due) Hold {
	for _, s := range d.Workload.Services {
		if by, busy := p.busy[s]; busy {
			d.More = "with " + by.String()
			return HoldService
		}
	}
	return HoldNone
}

// within holds where too many are under way.
func (p *planning) within(d *Due) Hold {
	for _, s := range d.Workload.scopes() {
		share, of := p.limits.Cluster, "the cluster"
		if s.Namespace != "" {
			share, of = p.limits.Namespace, "the namespace"
		}
		most := share.Of(p.sizes[s])
		if d.Forced {
			most = max(most, p.limits.Late.Of(p.sizes[s]))
		}
		if p.going[s] > 0 && p.going[s]+weight(d.Workload.Takes) > most {
			d.More = fmt.Sprintf("%d of %d pods in %s", p.going[s], most, of)
			return HoldBudget
		}
	}
	return HoldNone
}

// follower holds what the gate would not let follow, and says what is done with the
// rest.
func (p *planning) follower(d *Due) Hold {
	w, f := d.Workload, &d.Workload.Follower
	age := p.now.Sub(f.At)
	same := f.Answer == Allowed && d.Why.anew() && !f.New
	fresh := p.limits.Fresh
	if f.Answer != Allowed && !f.Failed || same {
		fresh = stale
	}
	switch {
	case w.Means == Bare:
		d.Do = Stop // nothing would follow: the rules say that it ends
	case f.Answer == "" || age < 0 || age > fresh:
		d.Do = Ask
	case d.Forced && w.Policy.Stop && (f.Answer == Refused || f.Answer != Allowed && p.now.Sub(f.Since) >= patience):
		if m := p.memory[w.Identity]; m != nil && !m.Stopped.IsZero() {
			d.More = "it was made to end already"
			return HoldRebuild
		}
		d.Do = Stop
	case same:
		d.Rebuild, d.More = true, "the same image would come again"
		return HoldRebuild
	case f.Failed:
		d.Until, d.More = f.At.Add(fresh), f.Why
		return HoldNotAsked
	case f.Answer != Allowed:
		d.Rebuild, d.Until, d.More = true, f.At.Add(stale), string(f.Answer)
		if f.Why != "" {
			d.More += ": " + f.Why
		}
		return HoldRebuild
	default:
		d.Do = Replace
	}
	return HoldNone
}
