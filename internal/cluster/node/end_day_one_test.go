package node

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
)

// before is what runs in a cluster before there is a gate, while its registry
// answers so slowly that no scan ends.
type before struct {
	ns, good, bad string
	digests       map[string]touchstone.Digest // by name of the deployment
	release       func()
}

func (w *world) before(t *testing.T) *before {
	t.Helper()
	b := &before{ns: w.c.Namespace(t, "old", map[string]string{"stage": "prod"}), digests: map[string]touchstone.Digest{}}
	b.good, b.digests["good"] = w.push(t, "old/good:1", good)
	b.bad, b.digests["bad"] = w.push(t, "old/bad:1", bad)
	w.c.CreateDeployment(t, b.ns, "good", b.good, 2)
	w.c.CreateDeployment(t, b.ns, "bad", b.bad, 1)
	w.c.WaitRunning(t, b.ns, "good", 2, time.Minute)
	w.c.WaitRunning(t, b.ns, "bad", 1, time.Minute)
	b.release = w.slow.hold(t)
	return b
}

// What runs when the gate comes is taken in, scanned, told by owner and judged. A
// namespace is not enforced before that is done; afterwards what runs may start
// again, with a finding and a deadline, and what is new may not.
func (b *before) one(t *testing.T, w *world) {
	w.slow.asked(t)
	var seen []api.Workload
	wait(t, "what runs is taken in", time.Minute, func(ctx context.Context) (err error) {
		if seen, err = w.running(ctx, b.ns); err == nil && len(seen) != 2 {
			err = fmt.Errorf("it knows %+v", seen)
		}
		return err
	})
	for _, one := range seen {
		if one.Digest != b.digests[one.Workload.Name] || one.Place.Owner != "team-shop" || one.Verdict != "" {
			t.Errorf("%+v; want it by digest, of team-shop, and not judged yet", one)
		}
	}
	got, err := w.s.SetMode(t.Context(), b.ns, api.ModeAsk{Enforce: true})
	if err != nil || got.Mode.Enforced || len(got.InTheWay) != 2 {
		t.Fatalf("with unscanned images the mode became %+v, %d in the way: %v", got.Mode, len(got.InTheWay), err)
	}
	// Meanwhile all is only reported: what is refused gets in.
	w.c.CreatePod(t, b.ns, "meanwhile", b.bad)

	b.release()
	want := map[string]touchstone.Verdict{"good": touchstone.Allowed, "bad": touchstone.Refused, "meanwhile": touchstone.Refused}
	wait(t, "what runs is judged", time.Minute, func(ctx context.Context) (err error) {
		if seen, err = w.running(ctx, b.ns); err != nil {
			return err
		}
		for _, one := range seen {
			if one.Verdict != want[one.Workload.Name] {
				return fmt.Errorf("%s is %q, want %q", one.Workload.Name, one.Verdict, want[one.Workload.Name])
			}
		}
		if len(seen) != len(want) {
			return fmt.Errorf("it knows %d, want %d", len(seen), len(want))
		}
		return nil
	})
	if out := w.s.run(t, "admit", "status", "--data", w.s.data, "--namespace", b.ns); !contains(out, "team-shop", "Deployment bad", "refused", b.bad) {
		t.Errorf("admit status says\n%s", out)
	}

	w.enforce(t, b.ns)
	for name, replicas := range map[string]int{"good": 2, "bad": 1} {
		w.restart(t, b.ns, name)
		again := w.c.WaitRunning(t, b.ns, name, replicas, time.Minute)
		wantImage(t, again, name, pinned(w.r.Host+"/old/"+name+":1", b.digests[name]))
	}
	w.wantDeadline(t, b.ns, "bad", "CVE-2026-1001")

	other, _ := w.push(t, "old/bad:2", bad)
	w.seen(t, other)
	wantRefused(t, w.create(t, b.ns, "new", other), "refused", "CVE-2026-1001")
	wantRefused(t, w.setImage(t, w.c.Client(), b.ns, "bad", other), "refused", "CVE-2026-1001")
}

// wantDeadline fails unless a hole in what runs is a finding that is to be mended
// in time.
func (w *world) wantDeadline(t *testing.T, ns, name, id string) {
	t.Helper()
	wait(t, "a finding with a deadline", time.Minute, func(ctx context.Context) error {
		all, err := w.running(ctx, ns)
		if err != nil {
			return err
		}
		for _, one := range all {
			if one.Workload.Name == name && slices.ContainsFunc(one.Findings, func(f touchstone.Finding) bool {
				return f.Rule == "cvss" && f.Thing == id && f.Deadline.Sub(f.Since) == 14*24*time.Hour
			}) {
				return nil
			}
		}
		return fmt.Errorf("known is %+v", all)
	})
}

// running is what the server knows to run in a namespace.
func (w *world) running(ctx context.Context, ns string) ([]api.Workload, error) {
	page, err := w.s.Running(ctx, ns, "", api.Paging{})
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}
