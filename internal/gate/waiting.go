package gate

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// mostWaiting is how many are told of the end of one scan. Whoever comes after
// that asks again by themselves, as everybody does in the end.
const mostWaiting = 64

// waitingFact is the request of somebody who was refused because a scan has not
// ended. A later request of the same question takes its place.
func waitingFact(key string, r *Request) (record.Fact, error) {
	kept := Request{
		Actor: r.Actor, Reference: r.Reference, Credential: r.Credential, Question: redacted(r.Question), Owner: r.Owner, Runs: r.Runs, History: r.History,
	}
	q := &kept.Question
	asks, err := json.Marshal([]any{q.Place.Cluster, q.Place.Namespace, q.Workload, kept.Owner, q.Settings})
	if err != nil {
		return record.Fact{}, err
	}
	return record.Put(factWaiting, key+"\n"+touchstone.DigestOf(asks).Short(), kept)
}

// waits reports whether somebody who asks this would be told: a cluster's
// workload, which does not ask again by itself for minutes.
func waits(r *Request) bool {
	return r.Question.Workload.Name != "" &&
		(r.Question.Occasion == touchstone.OccasionAdmit || r.Question.Occasion == touchstone.OccasionRestart)
}

// tellers is how many tell at once, so that one registry that does not answer holds
// up nobody else; mostEnded is how many scans may have ended and nobody been told.
const (
	tellers   = 4
	mostEnded = 4096
)

// tellSoon has those told who wait for the scan. Where too many are to be told
// they ask again by themselves.
func (d *Door) tellSoon(key string) {
	select {
	case d.ended <- key:
	default:
		d.c.Log.Warn("who waits for a scan is not told", "artifact", key)
	}
}

func (d *Door) tellAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case key := <-d.ended:
			d.tell(ctx, key)
		}
	}
}

// tell asks again what each of those asked who wait for the scan, and calls whom
// it concerns. What does not come to its end is done at the next start.
func (d *Door) tell(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	forget := record.Change{Kind: "scan", Actor: self, About: key, Body: []byte(`{"told":true}`)}
	d.telling.Lock()
	listeners := d.allowed
	d.telling.Unlock()
	waiting, err := d.waiting(ctx, key)
	if err != nil && ctx.Err() == nil {
		d.c.Log.Error("who waits for a scan cannot be told", "artifact", key, "error", err)
	}
	for _, w := range waiting {
		r := w.Content
		r.DryRun = true
		if a, err := d.Ask(ctx, r); err == nil && a.Admit() {
			r.DryRun = false
			for _, f := range listeners {
				f(r)
			}
		}
		forget.Facts = append(forget.Facts, record.Fact{Kind: factWaiting, Key: w.Key})
	}
	if len(forget.Facts) == 0 {
		return
	}
	if _, err := d.c.Store.Commit(ctx, forget); err != nil {
		d.c.Log.Error("those who were told of a scan will be told again", "artifact", key, "error", err)
	}
}

// waiting lists who waits for the scan. All are read before any is told, so that
// no read of the store is held open meanwhile.
func (d *Door) waiting(ctx context.Context, key string) (all []record.Document[Request], err error) {
	for w, err := range record.List[Request](ctx, d.c.Store, record.FactQuery{Kind: factWaiting, Prefix: key + "\n"}) {
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// forgotten returns the scans that had ended when the process did, and of whose end
// nobody was told.
func (d *Door) forgotten(ctx context.Context) ([]string, error) {
	keys := map[string]bool{}
	for f, err := range d.c.Store.Facts(ctx, record.FactQuery{Kind: factWaiting}) {
		if err != nil {
			return nil, err
		}
		key, _, _ := strings.Cut(f.Key, "\n")
		if _, _, waits := d.queue.find(key); !waits {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys)), nil
}
