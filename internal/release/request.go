package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Kind is what a request asks for.
type Kind string

// The kinds of request.
const (
	KindPromotion   Kind = "promotion"
	KindWaiver      Kind = "waiver"
	KindRules       Kind = "rules"
	KindImprovement Kind = "improvement" // a better artifact than what runs, against a refusal
)

// State is how far a request has come.
type State string

// The states of a request.
const (
	Open     State = "open"
	Granted  State = "granted"
	Rejected State = "rejected"
	Lapsed   State = "lapsed" // nobody answered in time
)

// Request is what somebody asks of others. Exactly the field of its kind is set.
type Request struct {
	ID    string    `json:"id"` // ULID
	Kind  Kind      `json:"kind"`
	State State     `json:"state"`
	By    Person    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"` // when it lapses; for a granted improvement, when it can no longer be used
	// Needs says what is still missing, as a sentence for people; empty when
	// nothing is.
	Needs     string                `json:"needs,omitempty"`
	Group     string                `json:"group,omitempty"` // whose approval counts; empty for anybody else's
	Count     int                   `json:"count"`           // how many approvals it takes
	Approvals []touchstone.Approval `json:"approvals,omitempty"`
	Rejection *touchstone.Approval  `json:"rejection,omitempty"`

	Promotion   *PromotionAsk      `json:"promotion,omitempty"`
	Waiver      *touchstone.Waiver `json:"waiver,omitempty"`
	Rules       *RulesAsk          `json:"rules,omitempty"`
	Improvement *ImprovementAsk    `json:"improvement,omitempty"`
}

// The kinds of fact that requests are kept in.
const (
	factRequest = "request"
	factAsked   = "asked"
)

// RequestQuery selects requests; empty fields select all.
type RequestQuery struct {
	State State
	Kind  Kind
	After string // where the page before says that the next goes on
	Limit int    // 100 when zero
}

// Requests lists requests, the newest first, and says where the next page goes
// on. Lists leave out the text of rules; Request has it.
func (r *Release) Requests(ctx context.Context, q RequestQuery) (items []Request, next string, err error) {
	if q.State == Lapsed {
		if err := r.lapseDue(ctx); err != nil {
			return nil, "", err
		}
	}
	facts := record.FactQuery{Kind: factRequest, After: q.After, Descending: true, Limit: pageSize(q.Limit) + 1}
	if q.State != "" {
		facts.Tags = append(facts.Tags, "state:"+string(q.State))
	}
	if q.Kind != "" {
		facts.Tags = append(facts.Tags, "kind:"+string(q.Kind))
	}
	for doc, err := range record.List[Request](ctx, r.c.Store, facts) {
		if err != nil {
			return nil, "", fmt.Errorf("listing requests: %w", err)
		}
		items = append(items, doc.Content)
	}
	items, next = page(items, facts.Limit-1, func(q Request) string { return q.ID })
	for i := range items {
		if r.due(&items[i]) {
			items[i].State, items[i].Needs = Lapsed, ""
		}
		if items[i].Rules != nil {
			items[i].Rules.Source = ""
		}
	}
	if q.State == Open {
		items = slices.DeleteFunc(items, func(q Request) bool { return q.State != Open })
	}
	return items, next, nil
}

// Request returns one request, or record.ErrNotFound.
func (r *Release) Request(ctx context.Context, id string) (*Request, error) {
	q, _, err := r.request(ctx, id)
	return q, err
}

// request reads a request with the fact that it stands in. One whose time is over
// is written down as lapsed first.
func (r *Release) request(ctx context.Context, id string) (*Request, record.Fact, error) {
	for range attempts {
		q, f, err := record.Get[Request](ctx, r.c.Store, factRequest, id)
		switch {
		case errors.Is(err, record.ErrNotFound):
			return nil, f, faulty(record.ErrNotFound, fmt.Sprintf("there is no request %q", id), "touchstone requests lists them")
		case err != nil:
			return nil, f, fmt.Errorf("reading the request %s: %w", id, err)
		case !r.due(&q):
			return &q, f, nil
		}
		switch err := r.lapse(ctx, &q, f); {
		case errors.Is(err, record.ErrFull): // it has lapsed all the same, and can be read
			q.State, q.Needs = Lapsed, ""
			return &q, f, nil
		case err != nil && !errors.Is(err, record.ErrConflict):
			return nil, f, err
		}
	}
	return nil, record.Fact{}, fmt.Errorf("reading the request %s: %w", id, record.ErrConflict)
}

// pending reads a request that is still open; the error is ErrState where it is
// not.
func (r *Release) pending(ctx context.Context, id string) (*Request, record.Fact, error) {
	q, f, err := r.request(ctx, id)
	if err != nil {
		return nil, f, err
	}
	if q.State != Open {
		return nil, f, faulty(ErrState, fmt.Sprintf("the request %s is %s already", id, q.State), "ask anew if it is still needed")
	}
	return q, f, nil
}

// due reports whether nobody has answered in time.
func (r *Release) due(q *Request) bool { return q.State == Open && !r.c.Now().Before(q.Until) }

// lapse writes down that nobody has answered in time.
func (r *Release) lapse(ctx context.Context, q *Request, f record.Fact) error {
	gone := *q
	gone.State, gone.Needs = Lapsed, ""
	c, err := gone.step("lapse", Person{Name: "touchstone"}, map[string]any{"request": q.ID, "until": q.Until}, record.Condition{Seq: f.Seq})
	if err != nil {
		return err
	}
	return r.write(ctx, c)
}

// lapseDue writes down every request whose time is over.
func (r *Release) lapseDue(ctx context.Context) error {
	var due []record.Document[Request]
	for doc, err := range record.List[Request](ctx, r.c.Store, record.FactQuery{Kind: factRequest, Tags: []string{"state:" + string(Open)}}) {
		if err != nil {
			return fmt.Errorf("looking for requests that have lapsed: %w", err)
		}
		if r.due(&doc.Content) {
			due = append(due, doc)
		}
	}
	for i := range due {
		if err := r.lapse(ctx, &due[i].Content, due[i].Fact); err != nil && !errors.Is(err, record.ErrConflict) {
			return err
		}
	}
	return nil
}

// step is the change that brings the request to where it now stands.
func (q *Request) step(kind string, p Person, body any, when record.Condition) (record.Change, error) {
	own, err := put(factRequest, q.ID, q, when, "state:"+string(q.State), "kind:"+string(q.Kind), "for:"+q.subject())
	if err != nil {
		return record.Change{}, err
	}
	asked, err := put(factAsked, q.asks(), q.ID, record.Condition{Absent: when.Absent})
	if err != nil {
		return record.Change{}, err
	}
	if q.State != Open {
		asked.Value = nil
	}
	return change(kind, p, q.ID, body, own, asked)
}

// open returns the changes that open the request for the person. Everything but
// what it asks for is filled in.
func (r *Release) open(p Person, q *Request, group string, count int) (record.Change, error) {
	now := r.c.Now().UTC()
	q.ID, q.State, q.By, q.At, q.Until = record.NewID(now), Open, p, now, now.Add(r.c.Life)
	q.Approvals, q.Rejection = nil, nil
	q.wants(group, count)
	return q.step("request", p, q, record.Condition{Absent: true})
}

// same returns the open request for the same thing, or nil. One that has lapsed is
// written down as such, so that another can be opened, unless it is only a dry run.
func (r *Release) same(ctx context.Context, q *Request, dry bool) (*Request, error) {
	id, _, err := record.Get[string](ctx, r.c.Store, factAsked, q.asks())
	if errors.Is(err, record.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for an open request: %w", err)
	}
	if dry {
		found, _, err := record.Get[Request](ctx, r.c.Store, factRequest, id)
		if err != nil || found.State != Open || r.due(&found) {
			return nil, err
		}
		return &found, nil
	}
	found, _, err := r.request(ctx, id)
	if err != nil || found.State != Open {
		return nil, err
	}
	return found, nil
}

// asks names what is asked for: two requests for the same have the same name.
// Every check refuses the one value that JSON cannot hold, a time after the year
// 9999.
func (q *Request) asks() string {
	var what any
	switch q.Kind {
	case KindPromotion:
		what = []any{q.Promotion.To, names(q.Promotion.Artifacts)}
	case KindWaiver:
		w := *q.Waiver
		w.ID, w.ApprovedBy = "", ""
		what = w
	case KindRules:
		what = []any{q.Rules.Digest, q.Rules.From.UTC()}
	case KindImprovement:
		what = q.subject()
	}
	data, _ := json.Marshal([]any{q.Kind, what})
	sum := sha256.Sum256(data)
	return string(q.Kind) + " " + hex.EncodeToString(sum[:])
}

// subject is what the request is found by: the workload and digest of an
// improvement, else what it asks for.
func (q *Request) subject() string {
	if q.Kind != KindImprovement {
		return string(q.Kind)
	}
	return improving(q.Improvement.Place, q.Improvement.Workload, q.Improvement.Digest)
}

// wants sets what the request takes, and says what is missing of it.
func (q *Request) wants(group string, count int) {
	q.Group, q.Count, q.Needs = group, count, ""
	if left := count - q.given(); left > 0 {
		q.Needs = plural(left, "more approval") + ofGroup(group) + ", by others than " + q.By.Name
		if len(q.Approvals) == 0 {
			q.Needs = plural(left, "approval") + ofGroup(group) + ", by others than " + q.By.Name
		}
	}
}

// given counts the approvals that count: of others than the asker, of the group,
// one for each person.
func (q *Request) given() int {
	var by []string
	for i := range q.Approvals {
		a := &q.Approvals[i]
		if !q.By.is(a.By) && (q.Group == "" || slices.Contains(a.Groups, q.Group)) && !slices.Contains(by, a.By) {
			by = append(by, a.By)
		}
	}
	return len(by)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// because holds people to saying why.
func because(reason, what string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return "", faulty(ErrInvalid, what+" takes a reason", "say why: it stands in the record")
	}
	return reason, nil
}
