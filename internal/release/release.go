// Package release is what people do: promotions along the chain of environments,
// approvals, waivers, freezes, and the rules themselves, which change only when a
// second person has agreed.
//
//	person ─ ask ─► Request (open) ─ approve ─► granted ─► Promotion · Waiver · rules in force · improvement
//	                                └ reject ─► rejected       (or lapsed, when nobody answered)
//
// Everything is written to the record with who did it; what is in force at a
// moment is read from there, and handed to the gate as a Book. The package decides
// nothing: whether a promotion may be is asked of the gate, whose rules soak,
// approvals, promoted and frozen answer it.
package release

import (
	"context"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// Person is who does something, as a token or a cluster says it.
type Person struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"`
}

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
	Until time.Time `json:"until"` // when it lapses
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

// PromotionAsk asks for artifacts to be let into an environment, all or none.
type PromotionAsk struct {
	Artifacts []string `json:"artifacts"` // references; a tag is resolved once, when asked
	To        string   `json:"to"`        // the environment
	DryRun    bool     `json:"dryRun,omitempty"`
}

// RulesAsk asks for a rules file to be in force from a moment on.
type RulesAsk struct {
	Source string            `json:"source"`        // the file's text
	Digest touchstone.Digest `json:"digest"`        // of Source
	From   time.Time         `json:"from,omitzero"` // when it begins; zero for as soon as it is approved
}

// ImprovementAsk asks for a digest to be let into a workload against a refusal,
// because it is better than what runs there.
type ImprovementAsk struct {
	Place    touchstone.Place    `json:"place"`
	Workload touchstone.Workload `json:"workload"`
	Artifact string              `json:"artifact"`
	Digest   touchstone.Digest   `json:"digest"`
}

// Result is what came of asking for a promotion.
type Result struct {
	// Promoted are the promotions that were made; none unless every artifact was
	// allowed.
	Promoted []touchstone.Promotion `json:"promoted"`
	Answers  []gate.Answer          `json:"answers"`           // one for each artifact, in the order asked
	Request  *Request               `json:"request,omitempty"` // what waits for approvals, when they alone are missing
	Opens    time.Time              `json:"opens,omitzero"`    // when a freeze or window next lets it through
}

// Door is what release asks of the gate.
type Door interface {
	Ask(context.Context, gate.Request) (*gate.Answer, error)
}

// Config is what a Release needs.
type Config struct {
	Store record.Store
	// Rules is the file that is in force until somebody applies another.
	Rules []byte
	// Forge names the requests' lives: how long one stays open; 7 days when zero.
	Life time.Duration
	Now  func() time.Time
}

// Release keeps what people have said. It implements gate.Road.
type Release struct {
	c    Config
	door Door
}

// New returns a Release. Through must be called before Promote.
func New(c Config) (*Release, error) { return &Release{c: c}, nil }

// Through names the door that judges promotions. The door needs the Release as
// its Road, so neither can be made with the other.
func (r *Release) Through(d Door) { r.door = d }

var _ gate.Road = (*Release)(nil)

// Book implements gate.Road.
func (r *Release) Book(context.Context) (*gate.Book, error) { return nil, gate.ErrNotBuilt }

// Promotions implements gate.Road.
func (r *Release) Promotions(context.Context, string, touchstone.Digest) ([]touchstone.Promotion, error) {
	return nil, gate.ErrNotBuilt
}

// Improvement implements gate.Road.
func (r *Release) Improvement(context.Context, touchstone.Workload, touchstone.Place, touchstone.Digest) (string, []touchstone.Approval, error) {
	return "", nil, gate.ErrNotBuilt
}

// Promote asks for artifacts to be let into an environment. When nothing but
// approvals is missing it opens a request, or finds the one that is open.
func (r *Release) Promote(context.Context, Person, PromotionAsk) (*Result, error) {
	return nil, gate.ErrNotBuilt
}

// Ask opens a request for a waiver, rules or an improvement.
func (r *Release) Ask(context.Context, Person, Request) (*Request, error) {
	return nil, gate.ErrNotBuilt
}

// Approve says yes to a request, and grants it when nothing more is missing.
func (r *Release) Approve(ctx context.Context, p Person, id, reason string) (*Request, error) {
	return nil, gate.ErrNotBuilt
}

// Reject says no to a request.
func (r *Release) Reject(ctx context.Context, p Person, id, reason string) (*Request, error) {
	return nil, gate.ErrNotBuilt
}

// Freeze declares a freeze; its ID is set.
func (r *Release) Freeze(context.Context, Person, touchstone.Freeze) (*touchstone.Freeze, error) {
	return nil, gate.ErrNotBuilt
}

// Thaw ends a freeze before its time.
func (r *Release) Thaw(ctx context.Context, p Person, id, reason string) error {
	return gate.ErrNotBuilt
}

// Revoke ends a waiver before its time.
func (r *Release) Revoke(ctx context.Context, p Person, id, reason string) error {
	return gate.ErrNotBuilt
}
