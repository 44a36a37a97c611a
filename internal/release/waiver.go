package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
)

const factWaiver = "waiver"

// held is a waiver that is in force, as its fact keeps it. Its key and the
// waiver's ID are those of the request.
type held struct {
	Waiver    touchstone.Waiver `json:"waiver"`
	By        string            `json:"by"` // who asked for it
	Granted   time.Time         `json:"granted"`
	Announced time.Time         `json:"announced,omitzero"` // when it was announced that it lapses
}

// Waivers lists those in force, the first to lapse first, and says where the next
// page goes on.
func (r *Release) Waivers(ctx context.Context, after string, limit int) ([]touchstone.Waiver, string, error) {
	b, err := r.Book(ctx)
	if err != nil {
		return nil, "", err
	}
	limit = pageSize(limit)
	var out []touchstone.Waiver
	now := r.c.Now()
	for _, w := range b.Waivers {
		if now.Before(w.Until) && waiverKey(w) > after {
			out = append(out, w)
		}
	}
	out, next := page(out, limit, waiverKey)
	return out, next, nil
}

// waiverKey sorts as the list does, so that a page goes on in the right place
// although the waiver it names is gone.
func waiverKey(w touchstone.Waiver) string {
	return w.Until.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + w.ID
}

// Lapsing lists the waivers in force that lapse within the time, the first to
// lapse first.
func (r *Release) Lapsing(ctx context.Context, within time.Duration) ([]touchstone.Waiver, error) {
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	now := r.c.Now()
	var out []touchstone.Waiver
	for _, w := range b.Waivers {
		if now.Before(w.Until) && !w.Until.After(now.Add(within)) {
			out = append(out, w)
		}
	}
	return out, nil
}

// Revoke ends a waiver before its time.
func (r *Release) Revoke(ctx context.Context, p Person, id, reason string) error {
	return r.end(ctx, p, ending{fact: factWaiver, entry: "revocation", what: "waiver", id: id, reason: reason})
}

// Import asks for every waiver of a file, one request each; name is the file's,
// for messages. Who is said to have approved them there does not count here, and
// their ids are those of the requests. A waiver that is asked for already keeps
// its request, and one that is in force already gets none. One waiver that cannot
// be keeps all of them out; the error then says where each fault is.
func (r *Release) Import(ctx context.Context, p Person, name string, file []byte) ([]Request, []rules.Warning, error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	b, err := r.Book(ctx)
	if err != nil {
		return nil, nil, err
	}
	list, warnings, err := rules.LoadWaivers(name, file, unsigned(b.Rules), r.c.Now())
	if err != nil {
		return nil, warnings, faulty(ErrInvalid, err.Error(), "")
	}
	now := r.c.Now()
	list = slices.DeleteFunc(list, func(w touchstone.Waiver) bool { return !now.Before(w.Until) }) // each has a warning
	out, err := again(ctx, "asking for the waivers of "+name, func() ([]Request, error) { return r.importing(ctx, p, b.Rules, list, b.Waivers) })
	return out, warnings, err
}

func (r *Release) importing(ctx context.Context, p Person, policy *touchstone.Rules, list, inForce []touchstone.Waiver) ([]Request, error) {
	seen := map[string]bool{}
	for _, w := range inForce {
		seen[(&Request{Kind: KindWaiver, Waiver: &w}).asks()] = true
	}
	var out []Request
	var changes []record.Change
	for _, w := range list {
		w.ID, w.ApprovedBy = "", ""
		q := Request{Kind: KindWaiver, Waiver: &w}
		if seen[q.asks()] {
			continue
		}
		seen[q.asks()] = true
		open, err := r.same(ctx, &q, false)
		if err != nil {
			return nil, err
		}
		if open != nil {
			out = append(out, *open)
			continue
		}
		c, err := r.open(p, &q, policy.Waiving.ApprovedBy, 1)
		if err != nil {
			return nil, err
		}
		out, changes = append(out, q), append(changes, c)
	}
	if len(changes) == 0 {
		return out, nil
	}
	return out, r.write(ctx, changes...)
}

// checkWaiver holds a waiver that somebody asks for to the policy of the rules, by
// the same checks as a file of waivers, and returns it as such a file would give
// it.
func checkWaiver(w *touchstone.Waiver, r *touchstone.Rules, now time.Time) (*touchstone.Waiver, error) {
	asked := *w
	asked.ID, asked.ApprovedBy = "", ""
	var lacks []string
	for _, field := range []struct{ name, value string }{{"rule", w.Rule}, {"owner", w.Owner}, {"reason", w.Reason}} {
		if strings.TrimSpace(field.value) == "" {
			lacks = append(lacks, field.name)
		}
	}
	if w.Until.IsZero() {
		lacks = append(lacks, "until")
	}
	if len(lacks) > 0 {
		return nil, faulty(ErrInvalid, "the waiver lacks "+strings.Join(lacks, ", "), "a waiver has a rule, an owner, a reason and an end")
	}
	if !now.Before(w.Until) {
		return nil, faulty(ErrInvalid, "the waiver would have lapsed already", "until names a moment to come")
	}
	if w.ScoreAbove < 0 || w.ScoreAbove != w.ScoreAbove {
		return nil, faulty(ErrInvalid, "the score that ends the waiver cannot be", "a CVSS score above 0 and at most 10")
	}
	list, _, err := rules.LoadWaivers("waiver", rules.WriteWaivers([]touchstone.Waiver{asked}), unsigned(r), now)
	if err != nil {
		return nil, faulty(ErrInvalid, told(err), "")
	}
	list[0].ID = ""
	return &list[0], nil
}

// unsigned are the rules without the demand that a waiver names who approved it:
// here nobody has yet.
func unsigned(r *touchstone.Rules) *touchstone.Rules {
	relaxed := *r
	relaxed.Waiving.ApprovedBy = ""
	return &relaxed
}

// told are the faults of a waiver without the lines of a file that nobody wrote.
func told(err error) string {
	var e *rules.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	var parts []string
	for _, p := range e.Problems {
		text := rules.Printable(p.Message)
		if p.Hint != "" {
			text += "\nhint: " + rules.Printable(p.Hint)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n")
}

// grantWaiver brings a waiver into force, if the rules of this moment still allow
// it.
func (r *Release) grantWaiver(policy *touchstone.Rules, q *Request, approver Person) ([]record.Change, string, error) {
	now := r.c.Now().UTC()
	w, err := checkWaiver(q.Waiver, policy, now)
	if err != nil {
		return nil, err.Error(), nil
	}
	w.ID, w.ApprovedBy = q.ID, approver.Name
	q.Waiver = w
	f, err := put(factWaiver, q.ID, held{Waiver: *w, By: q.By.Name, Granted: now}, record.Condition{Absent: true})
	if err != nil {
		return nil, "", err
	}
	c, err := change("waiver", approver, q.ID, w, f)
	return []record.Change{c}, "", err
}

// announce writes down, once for each, which waivers lapse soon, and returns them.
// What has lapsed is taken out of the facts; the log has it.
func (r *Release) announce(ctx context.Context) ([]touchstone.Waiver, error) {
	b, err := r.Book(ctx)
	if err != nil {
		return nil, err
	}
	ahead := r.ahead(b.Rules)
	now := r.c.Now().UTC()
	var out []touchstone.Waiver
	for doc, err := range record.List[held](ctx, r.c.Store, record.FactQuery{Kind: factWaiver}) {
		if err != nil {
			return out, fmt.Errorf("looking for waivers that lapse: %w", err)
		}
		h, kind := doc.Content, "announcement"
		switch {
		case !now.Before(h.Waiver.Until):
			kind = "lapse"
		case !h.Announced.IsZero() || h.Waiver.Until.After(now.Add(ahead)):
			continue
		}
		h.Announced = now
		f, err := put(factWaiver, doc.Key, h, record.Condition{Seq: doc.Seq})
		if err != nil {
			return out, err
		}
		if kind == "lapse" {
			f.Value = nil
		}
		c, err := change(kind, Person{Name: "touchstone"}, doc.Key, h.Waiver, f)
		if err != nil {
			return out, err
		}
		switch err := r.write(ctx, c); {
		case errors.Is(err, record.ErrConflict): // somebody has ended it meanwhile
		case err != nil:
			return out, fmt.Errorf("announcing that the waiver %s lapses: %w", doc.Key, err)
		case kind == "announcement":
			out = append(out, h.Waiver)
		}
	}
	return out, nil
}

// ahead is how long before its end a waiver is announced to lapse.
func (r *Release) ahead(policy *touchstone.Rules) time.Duration {
	if policy.Waiving.Announce > 0 {
		return policy.Waiving.Announce
	}
	return r.c.Ahead
}

// Tend does what time asks for: it writes down requests and waivers that have
// lapsed, and announces the waivers that are about to, which it returns. A server
// calls it every minute or so; nothing is in force longer for its being late.
func (r *Release) Tend(ctx context.Context) ([]touchstone.Waiver, error) {
	announced, err := r.announce(ctx)
	return announced, errors.Join(err, r.lapseDue(ctx))
}
