package gate

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// Door is the gate of a server: it remembers what was seen, has scanned what was
// not, asks Decide, and writes every decision down. It may be used from many
// goroutines.
type Door struct{ c DoorConfig }

// DoorConfig is what a Door needs.
type DoorConfig struct {
	// Gate inspects and gathers; its own Rules and Waivers are not used.
	Gate  *Gate
	Store record.Store
	Road  Road
	// Keychain returns what a pull secret holds, read anew each time; nil for the
	// server's own docker configuration alone.
	Keychain func(context.Context, Credential) (authn.Keychain, error)
	// Platforms are those that places can run, "linux/amd64"; the server's own
	// when empty.
	Platforms []string
	// Queue is how many scans may wait; 20,000 when zero. What comes beyond is
	// refused as unseen and asked again.
	Queue int
	// Workers is how many scans run at once; 2 when zero.
	Workers int
	// Attempts is after how many scans that died an artifact is taken as
	// unreadable; 5 when zero.
	Attempts int
	// Enforce is what holds in a namespace that nobody has set: false reports.
	Enforce bool
	Now     func() time.Time
}

// Road is what people have said: rules, waivers, freezes, promotions, approvals.
// The room release implements it.
type Road interface {
	// Book returns what is decided by now.
	Book(context.Context) (*Book, error)
	// Promotions returns those of a repository's digest, the newest first.
	Promotions(ctx context.Context, repository string, d touchstone.Digest) ([]touchstone.Promotion, error)
	// Improvement returns who asked for a better digest to be let into the
	// workload, and the approvals given to that.
	Improvement(ctx context.Context, w touchstone.Workload, place touchstone.Place, d touchstone.Digest) (asker string, given []touchstone.Approval, err error)
}

// Book is what is decided by at a moment.
type Book struct {
	Rules *touchstone.Rules
	// Source is the bytes of the rules file.
	Source        []byte
	Waivers       []touchstone.Waiver
	WaiversDigest touchstone.Digest
	Freezes       []touchstone.Freeze
	// Until is when the book changes without anybody's doing: rules that were
	// approved from a day on, a freeze that begins. Zero for never.
	Until time.Time
}

// Credential names pull secrets and never holds them.
type Credential struct {
	Namespace      string   `json:"namespace,omitempty"`
	Secrets        []string `json:"secrets,omitempty"`
	ServiceAccount string   `json:"serviceAccount,omitempty"`
}

// Request asks whether an artifact may run somewhere.
type Request struct {
	Actor      string // who asks, as the cluster or the token names them
	Reference  string
	Credential Credential
	Question   touchstone.Question
	// Owner is the identity of what makes equal pods (a ReplicaSet's UID, a
	// StatefulSet's with its revision): all of them get the digest that the first
	// one got. Empty for none.
	Owner string
	// Runs is the digest at which the workload runs now, where that is known: it
	// stands for a tag that cannot be resolved.
	Runs touchstone.Digest
	// History is what the asker knows of the past beyond what the door does:
	// Asker and Approvals of a promotion, Glass.
	History touchstone.History
	// DryRun decides and writes nothing down; a scan is not started either.
	DryRun bool
	// Quiet asks ahead: whoever asks will ask again for what is let in now, and
	// then be written down. So that decision alone is not written, nor that the
	// workload had the digest; refusals, scans and the digest that an owner's pods
	// get are.
	Quiet bool
}

// Answer is what a door says to a request.
type Answer struct {
	ID       string              `json:"id"` // the decision's
	Artifact touchstone.Artifact `json:"artifact"`
	// Pinned is the reference with tag and digest: what was judged, and what is
	// to run.
	Pinned string `json:"pinned"`
	// Scanning is true when the artifact was not seen before and a scan of it is
	// on its way.
	Scanning bool                `json:"scanning,omitempty"`
	Decision touchstone.Decision `json:"decision"`
	// Enforced is false where the namespace is in report mode: what is refused is
	// told, and let in.
	Enforced bool `json:"enforced"`
}

// Admit reports whether the artifact is let in.
func (a *Answer) Admit() bool { return !a.Enforced || a.Decision.Verdict == touchstone.Allowed }

// Running is one container that runs, as a cluster tells it.
type Running struct {
	Place     touchstone.Place    `json:"place"`
	Workload  touchstone.Workload `json:"workload"`
	Reference string              `json:"reference"` // as the pod writes it
	Digest    touchstone.Digest   `json:"digest"`    // as the node says it runs; empty while it is not known
	Pod       string              `json:"pod"`
	Since     time.Time           `json:"since"`
	// Static is true for a pod that no API server has admitted.
	Static bool `json:"static,omitempty"`
	// Credential is how its image is pulled.
	Credential Credential          `json:"credential,omitzero"`
	Settings   touchstone.Settings `json:"settings,omitzero"`
}

// ErrNotBuilt is returned by what is being built.
var ErrNotBuilt = errors.New("not built yet")

// NewDoor returns a Door. Run must be called for scans to be done.
func NewDoor(c DoorConfig) *Door { return &Door{c} }

// Run scans what waits, takes up what died, and decides anew what advisories have
// changed for, until the context ends.
func (d *Door) Run(ctx context.Context) error { return ErrNotBuilt }

// Ask answers a request. A reference that cannot be one is an error; what fails
// on the way is part of the decision.
func (d *Door) Ask(ctx context.Context, r Request) (*Answer, error) { return nil, ErrNotBuilt }

// Login judges a person's way into something that runs; the reference is not
// looked at.
func (d *Door) Login(ctx context.Context, r Request) (*Answer, error) { return nil, ErrNotBuilt }

// Observe takes in everything that runs in a cluster, as of one moment: what is
// new is scanned and judged, what is gone is forgotten.
func (d *Door) Observe(ctx context.Context, cluster string, all []Running) error { return ErrNotBuilt }

// Allowed calls f whenever a scan has ended and somebody who was refused for want
// of it would now be let in. It is how an owner that waits is told.
func (d *Door) Allowed(f func(Request)) {}
