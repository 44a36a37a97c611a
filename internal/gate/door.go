package gate

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/record"
)

// Door is the gate of a server: it remembers what was seen, has scanned what was
// not, asks Decide, and writes every decision down. It may be used from many
// goroutines.
//
// What it remembers are facts of these kinds; each value is the JSON of the type
// named.
//
//	seen      repository@digest                              Seen
//	scan      repository@digest                              Scan, while it waits, runs or has failed
//	waiting   repository@digest, who asks                    Request, of who is told when the scan has ended
//	decision  its id                                         Decided
//	ran       cluster/namespace/workload repository@digest   what let a digest into a workload
//	pin       owner, reference                               the digest that the owner's first pod got
//	running   cluster/namespace/workload repository@digest   Observed
//	finding   cluster/namespace/workload repository@digest   what fails there, and since when
//	taint     cluster/pod's UID/container/its ID rule thing  what a guard has seen there, while it runs
//	guard-event its id                                       touchstone.RuntimeEvent
//	mode      cluster/namespace                              Mode
//	holds     repository@digest, evidence                    the reverse index (reverse.go)
//	advisories "index"                                       up to which revision all was decided
//
// Its entries are of the kinds decision (a Kept), admission, login, scan, observed,
// advisories (a Reconsidered), guard-event and mode. It keeps in memory what it must not wait
// for: the queue of scans, what runs, and the modes. So one store has one Door.
type Door struct {
	c        DoorConfig
	resolver *resolver
	queue    *queue
	observed *observed
	modes    *modes
	events   events
	figures  figures

	loading sync.Mutex
	loaded  bool

	book      atomic.Pointer[knownBook]
	seen      *cache[*Seen]
	evidence  *cache[*touchstone.Evidence]
	knowledge *cache[*touchstone.Knowledge]
	decisions *cache[*decided]
	ran       *cache[*ran] // nil values say that there is none
	commands  *cache[string]
	pins      *cache[touchstone.Digest]
	deciding  singleflight.Group
	gathering *semaphore.Weighted
	logins    *cache[loggedIn]
	again     again

	ended   chan string // artifacts whose scan has ended
	refused refusals
	telling sync.Mutex
	allowed []func(Request)
}

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
	// ScanTime bounds one scan; 15 minutes when zero.
	ScanTime time.Duration
	// Registries says how registries are reached; its Keychain holds the server's
	// own credentials, those of docker and podman when nil.
	Registries oci.Registries
	// Log is told what nobody asked for; slog.Default when nil.
	Log *slog.Logger
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
	// Pod is the pod that a login is into; empty for what is no login.
	Pod string
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
	PodUID    string              `json:"podUID,omitempty"` // as Pod.UID
	ID        string              `json:"id,omitempty"`     // of the container, as the node's runtime calls it
	Since     time.Time           `json:"since"`
	// Static is true for a pod that no API server has admitted.
	Static bool `json:"static,omitempty"`
	// Credential is how its image is pulled.
	Credential Credential          `json:"credential,omitzero"`
	Settings   touchstone.Settings `json:"settings,omitzero"`
}

// NewDoor returns a Door. Run must be called for scans to be done.
func NewDoor(c DoorConfig) *Door {
	if c.Queue <= 0 {
		c.Queue = 20_000
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.Attempts <= 0 {
		c.Attempts = 5
	}
	if c.ScanTime <= 0 {
		c.ScanTime = 15 * time.Minute
	}
	if len(c.Platforms) == 0 {
		c.Platforms = []string{"linux/" + runtime.GOARCH}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	const mega = 1 << 20
	d := &Door{
		c: c, queue: newQueue(c.Queue), observed: newObserved(), modes: newModes(c.Enforce),
		seen: newCache[*Seen](4 * mega), evidence: newCache[*touchstone.Evidence](12 * mega), knowledge: newCache[*touchstone.Knowledge](8 * mega),
		decisions: newCache[*decided](12 * mega), ran: newCache[*ran](4 * mega), pins: newCache[touchstone.Digest](2 * mega),
		commands: newCache[string](mega), logins: newCache[loggedIn](mega), gathering: semaphore.NewWeighted(int64(2 * runtime.GOMAXPROCS(0))),
	}
	d.resolver, d.ended = newResolver(&d.c), make(chan string, mostEnded)
	return d
}

// load reads what the door keeps in memory, once. Until that has been possible
// nothing is answered.
func (d *Door) load(ctx context.Context) error {
	d.loading.Lock()
	defer d.loading.Unlock()
	if d.loaded {
		return nil
	}
	for _, read := range []func(context.Context) error{d.loadModes, d.loadScans, d.loadRunning} {
		if err := read(ctx); err != nil {
			return fmt.Errorf("reading what the gate remembers: %w", err)
		}
	}
	d.loaded = true
	return nil
}

// Allowed calls f whenever somebody who was refused would now be let in: a scan has
// ended, or people have promoted, approved or waived. It is how an owner that waits
// is told. f is called from several goroutines and must not block for long.
func (d *Door) Allowed(f func(Request)) {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.allowed = append(d.allowed, f)
}
