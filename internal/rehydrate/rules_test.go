package rehydrate

import (
	"slices"
	"time"

	"touchstone.dev/touchstone"
)

// check holds a plan against the rules, each of which is written here once more and
// otherwise than in Plan.
func (w *world) check(all []Due) {
	services := map[string]Identity{}
	away, going := map[string]int{}, map[string]int{}
	for i, m := range w.memory {
		if m.Step == nil {
			continue
		}
		for _, s := range m.Step.Services {
			services[s] = i
		}
		for _, g := range m.Step.Guards {
			away[g] += m.Step.Takes
		}
		going[i.Namespace] += max(m.Step.Takes, 1)
		going[""] += max(m.Step.Takes, 1)
	}
	begun := slices.Clone(all)
	slices.SortFunc(begun, func(a, b Due) int { return first(&a, &b) })
	for i := range begun {
		d := &begun[i]
		w.when(d)
		if d.Do == Wait || d.Do == Ask {
			continue
		}
		w.may(d)
		one := d.Workload
		for _, s := range one.Services {
			if by, busy := services[s]; busy {
				w.t.Fatalf("%s and %s are of the service %s", one, by, s)
			}
			services[s] = one.Identity
		}
		for _, g := range one.Guards {
			if away[g] += one.Takes; !d.Forced && one.Takes > 0 && away[g] > w.fleet.Allowed[g] {
				w.t.Fatalf("%s: %d are away, and %s allows %d", one, away[g], g, w.fleet.Allowed[g])
			}
		}
		for _, s := range []string{one.Namespace, ""} {
			was := going[s]
			going[s] += max(one.Takes, 1)
			if most := w.most(s, d.Forced); was > 0 && going[s] > most {
				w.t.Fatalf("%s: %d under way in %q, at most %d", one, going[s], s, most)
			}
		}
	}
	w.inOrder(begun)
	w.complete(all, services, going)
}

// most is how many may be under way in a namespace, or in the cluster.
func (w *world) most(namespace string, forced bool) int {
	n := 0
	for i := range w.fleet.Workloads {
		if namespace == "" || w.fleet.Workloads[i].Namespace == namespace {
			n += w.fleet.Workloads[i].Pods
		}
	}
	share := w.limits.Namespace
	if namespace == "" {
		share = w.limits.Cluster
	}
	most := share.Of(n)
	if forced {
		most = max(most, n/10)
	}
	return most
}

func (w *world) open(windows, freezes []touchstone.Freeze) bool {
	r := touchstone.Rules{Windows: windows, Freezes: freezes}
	at, known := r.Opens("prod", nil, w.now)
	return known && at.Equal(w.now)
}

// when checks the moment of what is due.
func (w *world) when(d *Due) {
	one := d.Workload
	began := one.Started
	if began.After(w.now) {
		began = w.now
	}
	if d.Why == ForAge && !d.At.IsZero() {
		age := d.At.Sub(began)
		if w.windows[one.Policy] == nil && w.freezes[one.Policy] == nil && (age < one.Policy.After*3/8-time.Second || age > one.Policy.After) {
			w.t.Fatalf("%s is due at the age of %s, at most %s", one, age, one.Policy.After)
		}
		if age < 0 {
			w.t.Fatalf("%s is due before it began", one)
		}
	}
	if d.Forced {
		m := w.memory[one.Identity]
		switch {
		case one.Policy.Deadline == 0 || w.now.Before(began.Add(one.Policy.Deadline)):
			w.t.Fatalf("%s is forced before its deadline", one)
		case m == nil || w.now.Sub(m.Announced) < 72*hour || !m.Deadline.Equal(began.Add(one.Policy.Deadline)):
			w.t.Fatalf("%s is forced and was not announced in time", one)
		}
	}
}

// may checks that something may be taken away.
func (w *world) may(d *Due) {
	one := d.Workload
	p := one.Policy
	m := w.memory[one.Identity]
	bad := ""
	switch {
	case m != nil && m.Step != nil:
		bad = "it is under way already"
	case d.At.IsZero() || d.At.After(w.now):
		bad = "it is not due"
	case !w.open(nil, w.freezes[p]) && !(d.Forced && p.ThroughFreezes):
		bad = "a freeze holds"
	case !d.Forced && !w.open(w.windows[p], w.freezes[p]):
		bad = "no window is open"
	case one.Stuck != "" || one.Started.IsZero():
		bad = "it cannot be replaced"
	case one.Means == Job && !d.Forced:
		bad = "a Job is left to end"
	case m != nil && m.Failed > 0 && !m.FailedAt.After(w.now) && w.now.Sub(m.FailedAt) < hour:
		bad = "it has just failed"
	case !d.Forced && one.Means != Job && one.Ready < one.Wanted:
		bad = "not all of it is ready"
	case !d.Forced && one.Means != Job && one.Takes > 0 && one.Ready <= one.Takes:
		bad = "nothing of it would serve"
	case !d.Forced && one.Takes > 1 && w.limits.Workload.Count > 0 && one.Takes > w.limits.Workload.Count,
		!d.Forced && one.Takes > 1 && w.limits.Workload.Percent > 0 && one.Takes*100 > one.Wanted*w.limits.Workload.Percent:
		bad = "it takes more of itself than its budget"
	case one.Gate && (one.Takes > 0 || one.Ready < 2 || one.Means != Rollout):
		bad = "it is the gate, and no other would answer"
	case d.Do == Replace && (one.Follower.Answer != Allowed || w.now.Sub(one.Follower.At) > time.Minute):
		bad = "the gate has not let follow"
	case d.Do == Replace && one.Means == Bare:
		bad = "nothing would bring it back"
	case d.Do == Replace && (d.Why == ForFinding || d.Why == ForBase) && !one.Follower.New:
		bad = "the same image would come again"
	case d.Do == Stop && !(d.Forced && p.Stop && (one.Means == Bare || one.Follower.Answer == Refused)):
		bad = "nobody said stop"
	}
	if bad != "" {
		w.t.Fatalf("%s %s at %s: %s", d.Do, one, w.now, bad)
	}
}

// inOrder checks that nothing is held for want of room while a younger one goes, and
// nothing that is past its deadline while one goes that is not.
func (w *world) inOrder(all []Due) {
	for i := range all {
		for j := range all {
			a, b := &all[i], &all[j]
			if a.Hold != HoldBudget || b.Do == Wait || b.Workload.Gate != a.Workload.Gate || a.Workload.Namespace != b.Workload.Namespace {
				continue
			}
			if b.Workload.Takes >= a.Workload.Takes && !b.Forced && (a.Forced || b.Workload.Started.After(a.Workload.Started)) {
				w.t.Fatalf("%s waits, and %s goes, which is younger or less late", a.Workload, b.Workload)
			}
		}
	}
}

// complete checks that what is past its deadline is not left for want of anything
// but what the rules name.
func (w *world) complete(all []Due, services map[string]Identity, going map[string]int) {
	for i := range all {
		d := &all[i]
		one := d.Workload
		m := w.memory[one.Identity]
		full := func(s string) bool { return going[s] > 0 && going[s]+max(one.Takes, 1) > w.most(s, true) }
		switch {
		case one.Policy.Deadline == 0 || one.Started.IsZero() || w.now.Before(one.Started.Add(one.Policy.Deadline)) || one.Started.After(w.now),
			m == nil || m.Step != nil || m.Failed > 0 || !m.Deadline.Equal(one.Started.Add(one.Policy.Deadline)) || m.Announced.After(w.now) || w.now.Sub(m.Announced) < 72*hour,
			one.Follower.Answer != Allowed || one.Follower.At != w.now, one.Stuck != "" || one.Means == Bare || one.Gate,
			!w.open(nil, w.freezes[one.Policy]) && !one.Policy.ThroughFreezes,
			full(one.Namespace) || full(""),
			slices.ContainsFunc(one.Services, func(s string) bool { _, busy := services[s]; return busy }),
			(d.Why == ForFinding || d.Why == ForBase):
			continue
		}
		if d.Do != Replace {
			w.t.Fatalf("%s is past its deadline since %s, and %q: %s", one, one.Started.Add(one.Policy.Deadline), d.Hold, d.More)
		}
	}
}
