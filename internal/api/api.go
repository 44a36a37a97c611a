// Package api is the contract between a server and whoever calls it: the routes,
// with the role that each needs, the documents that pass, and a client. The server
// serves exactly these routes, and the OpenAPI document is made from them.
//
// A call carries its token as "Authorization: Bearer tst_…". Every answer that is
// not a success is a Problem (RFC 9457, application/problem+json). Writes may carry
// the header Idempotency-Key: the same key within a day gets the first answer
// again, and 422 if the call is another. Lists come in pages: Page.Next is handed
// back as ?after=.
package api

import (
	"encoding/json"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

// Role is what a token may do; each role of Roles may do what those before it may.
type Role string

// The roles, least first.
const (
	Viewer    Role = "viewer"    // read
	Developer Role = "developer" // check, ask for promotions, waivers, rules
	Approver  Role = "approver"  // approve, reject, freeze
	Admin     Role = "admin"     // tokens, modes, backups
)

// Guard is the role of the agent on a node. It stands beside the others: it may do
// nothing of what they may, nor they anything of what it may, and it may do that for
// one node alone.
const Guard Role = "guard"

// Roles lists the roles of people and pipelines, least first.
func Roles() []Role { return []Role{Viewer, Developer, Approver, Admin} }

// Route is one thing that the server does.
type Route struct {
	Method  string
	Path    string // as net/http.ServeMux writes it, without the method
	Role    Role   // the least that may call it; "" for anybody
	Summary string
	Query   []string // names of the query parameters
	// Request and Response are zero values of the documents; nil for none.
	Request, Response any
	// Stream is true where the answer is server-sent events of Response.
	Stream bool
	// Writes is true where something is changed, and an Idempotency-Key is
	// therefore heeded.
	Writes bool
}

// Routes lists all of them.
func Routes() []Route {
	return []Route{
		{"GET", "/healthz", "", "Whether the process lives", nil, nil, Health{}, false, false},
		{"GET", "/readyz", "", "Whether the server can decide, and what is wrong", nil, nil, Health{}, false, false},
		{"GET", "/openapi.json", "", "This contract as OpenAPI 3.1", nil, nil, json.RawMessage{}, false, false},
		{"GET", "/metrics", Viewer, "Prometheus metrics", nil, nil, nil, false, false},

		{"POST", "/v1/checks", Developer, "Judge an artifact; one that was not seen before is scanned, and 202 says so", nil, CheckAsk{}, CheckAnswer{}, false, false},
		{"GET", "/v1/artifacts", Viewer, "Artifacts that were seen", pages("name"), nil, Page[Artifact]{}, false, false},
		{"GET", "/v1/scans", Viewer, "Scans that wait, run or have failed", pages(), nil, Page[Scan]{}, false, false},
		{"GET", "/v1/running", Viewer, "What runs, and what is found on it", pages("namespace", "owner"), nil, Page[Workload]{}, false, false},
		{"GET", "/v1/where", Viewer, "The place that a namespace is, and why", []string{"cluster", "namespace", "label"}, nil, Where{}, false, false},

		{"GET", "/v1/decisions", Viewer, "Decisions, the newest first", pages("artifact", "environment", "namespace", "verdict"), nil, Page[Decision]{}, false, false},
		{"GET", "/v1/decisions/{id}", Viewer, "One decision with its reasons and inputs", nil, nil, DecisionDocument{}, false, false},
		{"POST", "/v1/decisions/{id}/replay", Viewer, "Decide again from the stored inputs", nil, nil, Replay{}, false, false},
		{"GET", "/v1/events", Viewer, "Decisions, scans and what guards see, as they happen", nil, nil, Event{}, true, false},

		{"POST", "/v1/promotions", Developer, "Promote artifacts, all or none", nil, release.PromotionAsk{}, release.Result{}, false, true},
		{"GET", "/v1/promotions", Viewer, "Promotions, the newest first", pages("artifact", "environment"), nil, Page[touchstone.Promotion]{}, false, false},
		{"GET", "/v1/requests", Viewer, "What somebody asks of others", pages("state", "kind"), nil, Page[release.Request]{}, false, false},
		{"POST", "/v1/requests", Developer, "Ask for a waiver, rules or an improvement", nil, release.Request{}, release.Request{}, false, true},
		{"GET", "/v1/requests/{id}", Viewer, "One request", nil, nil, release.Request{}, false, false},
		{"POST", "/v1/requests/{id}/approve", Approver, "Say yes; never to one's own", nil, Remark{}, release.Request{}, false, true},
		{"POST", "/v1/requests/{id}/reject", Approver, "Say no", nil, Remark{}, release.Request{}, false, true},
		{"GET", "/v1/waivers", Viewer, "Waivers in force, the first to lapse first", pages(), nil, Page[touchstone.Waiver]{}, false, false},
		{"POST", "/v1/waivers/import", Developer, "Ask for every waiver of a file, all or none", nil, WaiverFile{}, Imported{}, false, true},
		{"POST", "/v1/waivers/{id}/revoke", Approver, "End a waiver before its time", nil, Remark{}, nil, false, true},
		{"GET", "/v1/freezes", Viewer, "Freezes, past ones left out", pages(), nil, Page[touchstone.Freeze]{}, false, false},
		{"POST", "/v1/freezes", Approver, "Declare a freeze", nil, touchstone.Freeze{}, touchstone.Freeze{}, false, true},
		{"POST", "/v1/freezes/{id}/thaw", Approver, "End a freeze before its time", nil, Remark{}, nil, false, true},
		{"GET", "/v1/rules", Viewer, "The rules in force", nil, nil, Rules{}, false, false},
		{"POST", "/v1/simulations", Developer, "What other rules, a waiver or advisories would change", nil, SimulationAsk{}, gate.Simulation{}, false, false},

		{"GET", "/v1/guard/ground", Guard, "What the guard of a node judges by; with since, as soon as it is another", []string{"node", "since"}, nil, GuardGround{}, false, false},
		{"GET", "/v1/guard/manifests/{config}", Guard, "What is known of an image's files, by the digest of its config and its layers' diff IDs", []string{"node", "layer", "image"}, nil, GuardManifest{}, false, false},
		{"GET", "/v1/guard/manifests/{config}/files", Guard, "The manifest of its files itself, which never changes", []string{"node", "layer"}, nil, nil, false, false},
		{"POST", "/v1/guard/events", Guard, "Tell what was seen on the node; what is sent again counts once", nil, GuardEvents{}, GuardReceipts{}, false, false},
		{"POST", "/v1/guard/successor", Guard, "Whether the pod that would follow one of the node's would be let in; nothing is done", nil, GuardPodAsk{}, GuardSuccessor{}, false, false},
		{"POST", "/v1/guard/evictions", Guard, "Evict a pod of the node, where one that may run would follow it", nil, GuardEviction{}, GuardEvicted{}, false, false},
		{"GET", "/v1/guard/events", Viewer, "What guards have seen, the newest first", pages("namespace", "workload", "node", "kind", "action", "artifact"), nil, Page[touchstone.RuntimeEvent]{}, false, false},
		{"GET", "/v1/guard/events/{id}", Viewer, "One thing that a guard has seen", nil, nil, touchstone.RuntimeEvent{}, false, false},
		{"GET", "/v1/guards", Viewer, "Guards by node, and when each was last heard", nil, nil, Page[GuardState]{}, false, false},

		{"GET", "/v1/namespaces", Viewer, "Namespaces, and whether their rules are enforced", []string{"cluster"}, nil, Page[gate.Mode]{}, false, false},
		{"PUT", "/v1/namespaces/{namespace}", Admin, "Report or enforce", nil, ModeAsk{}, ModeAnswer{}, false, true},
		{"GET", "/v1/log", Viewer, "Entries of the log, in order; order=newest turns it round", pages("kind", "about", "order"), nil, Page[Entry]{}, false, false},
		{"GET", "/v1/log/checkpoint", Viewer, "The latest signed checkpoint, and the key", nil, nil, Checkpoint{}, false, false},
		{"POST", "/v1/log/verify", Viewer, "Verify the whole log", nil, VerifyAsk{}, record.Verification{}, false, false},
		{"GET", "/v1/whoami", Viewer, "Whose token this is", nil, nil, Token{}, false, false},
		{"GET", "/v1/tokens", Admin, "Tokens, without their secrets", pages(), nil, Page[Token]{}, false, false},
		{"POST", "/v1/tokens", Admin, "Make a token; its secret is told once", nil, TokenAsk{}, Token{}, false, true},
		{"POST", "/v1/tokens/{id}/revoke", Admin, "End a token", nil, Remark{}, nil, false, true},
		{"POST", "/v1/backups", Admin, "Write a backup into the server's data folder while it runs", nil, nil, Backup{}, false, true},
	}
}

func pages(more ...string) []string { return append(more, "after", "limit") }

// Problem is an answer that is not a success (RFC 9457).
type Problem struct {
	Type   string `json:"type"`           // "about:blank"
	Title  string `json:"title"`          // the HTTP status in words
	Status int    `json:"status"`         // the HTTP status
	Detail string `json:"detail"`         // what happened, to what
	Hint   string `json:"hint,omitempty"` // what to do next
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // the value of ?after= for the next page; empty on the last
}

// Health is what the server knows of itself.
type Health struct {
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems,omitempty"` // what keeps it from deciding
	Warnings []string `json:"warnings,omitempty"` // what will, unless somebody acts
}

// CheckAsk asks whether an artifact may run somewhere.
type CheckAsk struct {
	Reference string `json:"reference"`
	// Environment or Place says where; both empty asks about the whole road.
	Environment string              `json:"environment,omitempty"`
	Place       string              `json:"place,omitempty"` // "namespace=cart,cluster=pay-1", as --place writes it
	Settings    touchstone.Settings `json:"settings,omitzero"`
	Platform    string              `json:"platform,omitempty"`
}

// CheckAnswer is the whole check, or what is still to come.
type CheckAnswer struct {
	// Scanning is true while the artifact is read for the first time; ask again
	// after RetryAfter seconds.
	Scanning   bool              `json:"scanning,omitempty"`
	RetryAfter int               `json:"retryAfter,omitempty"`
	Check      *touchstone.Check `json:"check,omitempty"`
}

// Artifact is one that was seen.
type Artifact struct {
	Name     string            `json:"name"` // repository
	Digest   touchstone.Digest `json:"digest"`
	Platform string            `json:"platform,omitempty"`
	Evidence touchstone.Digest `json:"evidence,omitempty"`
	Seen     time.Time         `json:"seen"`
}

// Scan is one that waits, runs or has failed.
type Scan struct {
	Reference string    `json:"reference"`
	State     string    `json:"state"` // waiting, running, failed
	Attempts  int       `json:"attempts"`
	Queued    time.Time `json:"queued"`
	Next      time.Time `json:"next,omitzero"`     // when it is tried again
	Problem   string    `json:"problem,omitempty"` // why the last attempt failed
}

// Workload is one container that runs.
type Workload struct {
	gate.Running
	Decision string `json:"decision,omitempty"` // id of the one that let it in
	Taken    bool   `json:"taken,omitempty"`    // it ran before the gate was there
	// Verdict is what something new would get there today, and Failing what would
	// refuse it; both are empty while it is not scanned.
	Verdict  touchstone.Verdict   `json:"verdict,omitempty"`
	Failing  []string             `json:"failing,omitempty"`
	Findings []touchstone.Finding `json:"findings,omitempty"`
	Problem  string               `json:"problem,omitempty"` // why it could not be scanned
}

// Where is the place that a namespace is.
type Where struct {
	Place touchstone.Place `json:"place"`
	// Row is the number of the row of places that matched, from 1; 0 for none.
	Row      int  `json:"row"`
	Enforced bool `json:"enforced"`
}

// Decision is one line of the list of decisions.
type Decision struct {
	ID          string              `json:"id"`
	At          time.Time           `json:"at"`
	Occasion    touchstone.Occasion `json:"occasion"`
	Artifact    string              `json:"artifact"` // "repository@digest"
	Reference   string              `json:"reference,omitempty"`
	Environment string              `json:"environment"`
	Namespace   string              `json:"namespace,omitempty"`
	Workload    string              `json:"workload,omitempty"` // "Deployment cart"
	Verdict     touchstone.Verdict  `json:"verdict"`
	Why         string              `json:"why,omitempty"` // the worst reason, in a line
	Actor       string              `json:"actor"`
}

// DecisionDocument is one decision with all that it was taken on.
type DecisionDocument struct {
	Schema   string              `json:"schema"` // touchstone.dev/decision/v1
	ID       string              `json:"id"`
	Actor    string              `json:"actor"`
	Artifact touchstone.Artifact `json:"artifact"`
	Question touchstone.Question `json:"question"`
	Decision touchstone.Decision `json:"decision"`
}

// Replay is what deciding again from the stored inputs came to.
type Replay struct {
	ID   string `json:"id"`
	Same bool   `json:"same"`
	// Missing names inputs that retention has removed; then nothing is replayed.
	Missing []string             `json:"missing,omitempty"`
	Differs []string             `json:"differs,omitempty"` // what differs, for people
	Then    touchstone.Decision  `json:"then"`
	Again   *touchstone.Decision `json:"again,omitempty"`
}

// Event is something that happens.
type Event struct {
	Kind     string                   `json:"kind"` // decision, scan, guard
	At       time.Time                `json:"at"`
	Decision *Decision                `json:"decision,omitempty"`
	Scan     *Scan                    `json:"scan,omitempty"`
	Guard    *touchstone.RuntimeEvent `json:"guard,omitempty"`
}

// WaiverFile is a file of waivers, as it lies beside a rules file.
type WaiverFile struct {
	Name string `json:"name"` // for messages
	Text string `json:"text"`
}

// Imported is what was asked for of a file of waivers.
type Imported struct {
	Requests []release.Request `json:"requests"` // one for each waiver that is not in force already
	Warnings []string          `json:"warnings,omitempty"`
}

// Remark is why somebody does something.
type Remark struct {
	Reason string `json:"reason"`
}

// Rules are the rules in force.
type Rules struct {
	Digest touchstone.Digest `json:"digest"`
	Source string            `json:"source"`
	From   time.Time         `json:"from,omitzero"`
	By     []string          `json:"by,omitempty"` // who asked for them and who approved; empty for the first
}

// SimulationAsk names what to try. Exactly one of Rules, Waiver and Advisories
// is set.
type SimulationAsk struct {
	Rules      string             `json:"rules,omitempty"` // a rules file's text
	Waiver     *touchstone.Waiver `json:"waiver,omitempty"`
	Advisories bool               `json:"advisories,omitempty"` // those that are in the index now, against what was decided
	At         time.Time          `json:"at,omitzero"`          // as of this moment; zero for now
	Last       int                `json:"last,omitempty"`       // how many past decisions are tried too; 1,000 when zero
}

// ModeAsk sets whether a namespace's rules are enforced.
type ModeAsk struct {
	Cluster string `json:"cluster,omitempty"`
	Enforce bool   `json:"enforce"`
	Anyway  bool   `json:"anyway,omitempty"` // although something there is unscanned or undecided
	Reason  string `json:"reason,omitempty"`
}

// ModeAnswer says what came of it.
type ModeAnswer struct {
	Mode gate.Mode `json:"mode"`
	// InTheWay lists what runs there and is unscanned or undecided; then nothing
	// was switched.
	InTheWay []Workload `json:"inTheWay,omitempty"`
}

// Entry is one of the log with its body, where it is still kept.
type Entry struct {
	record.Entry
	Document json.RawMessage `json:"document,omitempty"`
}

// Checkpoint is a signed statement of how long the log is and what it says
// (C2SP tlog-checkpoint in a signed note).
type Checkpoint struct {
	Note string `json:"note"`
	Key  string `json:"key"` // the verifier key, as golang.org/x/mod/sumdb/note writes it
}

// VerifyAsk may name a checkpoint that was kept elsewhere.
type VerifyAsk struct {
	Note string `json:"note,omitempty"`
}

// TokenAsk asks for a token.
type TokenAsk struct {
	Name   string   `json:"name"` // the person or robot
	Groups []string `json:"groups,omitempty"`
	Role   Role     `json:"role"`
	// Scope names environments; empty is for all. A token changes and asks
	// nothing outside its scope, and reads everything.
	Scope []string `json:"scope,omitempty"`
	// Node is whose guard the token is for; a guard's needs it, and no other has it.
	Node    string    `json:"node,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // 90 days from now when zero, 366 at most
}

// Token is one, without its secret but where it was just made.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Groups  []string  `json:"groups,omitempty"`
	Role    Role      `json:"role"`
	Scope   []string  `json:"scope,omitempty"`
	Node    string    `json:"node,omitempty"` // of a guard
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	Secret  string    `json:"secret,omitempty"` // told once
}

// Backup names one that was written.
type Backup struct {
	Path  string    `json:"path"`
	Bytes int64     `json:"bytes"`
	At    time.Time `json:"at"`
}
