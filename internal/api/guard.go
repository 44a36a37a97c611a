package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
)

// GuardGround is what the guard of a node judges by. The server says what each
// place is, just as at the door, so that a guard needs no right in the cluster.
type GuardGround struct {
	// Version names all of it but the moment. A guard hands it back as ?since=, and
	// is answered as soon as something is another; with Unchanged, and nothing
	// else, when nothing was for half a minute.
	Version   touchstone.Digest `json:"version"`
	Unchanged bool              `json:"unchanged,omitempty"`
	At        time.Time         `json:"at"` // by the server's clock

	Cluster       string              `json:"cluster,omitempty"`
	Node          string              `json:"node"`
	Rules         touchstone.Digest   `json:"rules"`
	Source        string              `json:"source"` // the rules file, of which Rules is the digest
	Waivers       []touchstone.Waiver `json:"waivers"`
	WaiversDigest touchstone.Digest   `json:"waiversDigest,omitempty"`
	// Place is the node's own, for what runs on it in no pod.
	Place touchstone.Place `json:"place"`
	Pods  []GuardPod       `json:"pods"` // in the order of namespace and name
}

// GuardPod is a pod of the node.
type GuardPod struct {
	gate.Pod
	// Enforced is false where the rules are only reported on: the guard then tells,
	// and stops nothing.
	Enforced bool `json:"enforced"`
}

// GuardManifest is what the server knows of the files of an image.
type GuardManifest struct {
	Config   touchstone.Digest          `json:"config"`
	Evidence touchstone.Digest          `json:"evidence"` // id
	Platform string                     `json:"platform"`
	Manifest touchstone.ManifestSummary `json:"manifest"`
	// Gaps says what of the image could not be read; the manifest may then lack
	// files.
	Gaps []touchstone.Gap `json:"gaps"`
}

// GuardEvents are things that the guard of a node has seen; 500 at most.
type GuardEvents struct {
	Node   string                    `json:"node"`
	Events []touchstone.RuntimeEvent `json:"events"`
}

// GuardReceipts answer for each of the events, in their order.
type GuardReceipts struct {
	Items []GuardReceipt `json:"items"`
}

// GuardReceipt says what became of one event.
type GuardReceipt struct {
	ID    string            `json:"id"`
	State GuardReceiptState `json:"state"`
	// Problem says why it was refused; to send it again will not help.
	Problem string `json:"problem,omitempty"`
	// Login is who that was, for a login: By and Admitted are those of the decision
	// by which the cluster's door let the session in. Admitted is empty where the
	// door never saw it.
	Login *touchstone.Login `json:"login,omitempty"`
}

// GuardReceiptState is what became of an event.
type GuardReceiptState string

// The states.
const (
	GuardTaken   GuardReceiptState = "taken"   // it is written down, or what is new of it is
	GuardKnown   GuardReceiptState = "known"   // it was written down before, and says nothing new
	GuardRefused GuardReceiptState = "refused" // it is none of this node's, or no event at all
)

// GuardPodAsk names a pod of the node, or one container of it.
type GuardPodAsk struct {
	Node      string `json:"node"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	PodUID    string `json:"podUID"`
	// Container asks about stopping this container alone; empty about the pod.
	Container string `json:"container,omitempty"`
}

// GuardSuccessor says what would come in the place of a pod or container. Only
// where it is allowed may that be taken away.
type GuardSuccessor struct {
	Verdict  touchstone.Verdict  `json:"verdict"`
	Workload touchstone.Workload `json:"workload"`
	// Reasons say, a sentence each, why the successor would not run.
	Reasons []string `json:"reasons,omitempty"`
}

// GuardEviction asks for a pod of the node to be evicted.
type GuardEviction struct {
	Node      string `json:"node"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	PodUID    string `json:"podUID"`
	Event     string `json:"event"` // id of the event, sent before, whose rule says kill
}

// GuardEvicted says what came of it. What was not done may be asked for again after
// RetryAfter seconds, where that is not zero.
type GuardEvicted struct {
	Done bool `json:"done"`
	GuardSuccessor
	Problem    string `json:"problem,omitempty"` // why it was not done: a disruption budget, the successor
	RetryAfter int    `json:"retryAfter,omitempty"`
}

// GuardState is one guard, as the server has heard it.
type GuardState struct {
	Node  string    `json:"node"`
	First time.Time `json:"first"`           // when it was first heard
	Last  time.Time `json:"last"`            // when it was last heard
	Agent string    `json:"agent,omitempty"` // the program: "touchstone/1.2"
	// Silent is true where it has not been heard for longer than a guard is ever
	// still.
	Silent bool `json:"silent,omitempty"`
}

// GuardGround returns what the guard of the node judges by. Where since is the
// version of one that it has, the answer comes when there is another, or with
// Unchanged after half a minute.
func (c *Client) GuardGround(ctx context.Context, node string, since touchstone.Digest) (*GuardGround, error) {
	return get[GuardGround](ctx, c, "/v1/guard/ground", Paging{}.values("node", node, "since", string(since)))
}

// GuardManifest returns what is known of an image's files: of the one with this
// config, whose layers, bottom first, have these diff IDs. image is its reference as
// the pod writes it; may be empty. Absent tells an image that was never inspected;
// it is scanned then, if a pod of the node runs it.
func (c *Client) GuardManifest(ctx context.Context, node string, config touchstone.Digest, layers []touchstone.Digest, image string) (*GuardManifest, error) {
	return get[GuardManifest](ctx, c, "/v1/guard/manifests/"+url.PathEscape(string(config)), manifestQuery(node, layers, image))
}

func manifestQuery(node string, layers []touchstone.Digest, image string) url.Values {
	v := Paging{}.values("node", node, "image", image)
	for _, l := range layers {
		v.Add("layer", string(l))
	}
	return v
}

// Absent reports whether the server says that it has no such thing.
func Absent(err error) bool {
	var p *ProblemError
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// GuardFiles writes the manifest of an image's files, as package manifest reads it:
// want, as GuardManifest has told it. An error after the first byte was written
// leaves a part of it, which is not to be used. It is one attempt.
func (c *Client) GuardFiles(ctx context.Context, node string, want *GuardManifest, layers []touchstone.Digest, into io.Writer) error {
	if err := c.safe(); err != nil {
		return err
	}
	path := "/v1/guard/manifests/" + url.PathEscape(string(want.Config)) + "/files"
	res, err := c.send(ctx, call{method: http.MethodGet, path: path, query: manifestQuery(node, layers, "")}, nil, "")
	if err != nil {
		return unreached(c.Base, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the status says enough without it
		return problemOf(res, data)
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(into, sum), res.Body); err != nil {
		return fmt.Errorf("GET %s: reading the answer: %w", path, err)
	}
	if got := touchstone.NewDigest(sum.Sum(nil)); got != want.Manifest.Blob {
		return fmt.Errorf("GET %s: the answer is %s, and %s was wanted", path, got.Short(), want.Manifest.Blob.Short())
	}
	return nil
}

// SendGuardEvents tells what was seen on a node. The same events may be sent again, or
// with more in them (Count, Steps, an ended login): each counts once, by its id.
func (c *Client) SendGuardEvents(ctx context.Context, e GuardEvents) (*GuardReceipts, error) {
	return post[GuardReceipts](ctx, c, "/v1/guard/events", e)
}

// GuardSuccessor asks whether what would come in the place of a pod, or of a
// container in it, would be let in and could be pulled.
func (c *Client) GuardSuccessor(ctx context.Context, ask GuardPodAsk) (*GuardSuccessor, error) {
	return post[GuardSuccessor](ctx, c, "/v1/guard/successor", ask)
}

// EvictForGuard asks for a pod to be evicted. What is in the way of it is no error.
func (c *Client) EvictForGuard(ctx context.Context, ask GuardEviction) (*GuardEvicted, error) {
	return post[GuardEvicted](ctx, c, "/v1/guard/evictions", ask)
}

// GuardEventFilter selects events of guards; empty fields select nothing.
type GuardEventFilter struct {
	Namespace string
	Workload  string // "Deployment cart"
	Node      string
	Kind      touchstone.RuntimeEventKind
	Action    touchstone.Effect
	Artifact  string // a repository, a digest, or "repository@digest"
}

// GuardEvents lists what guards have seen, the newest first.
func (c *Client) GuardEvents(ctx context.Context, f GuardEventFilter, p Paging) (*Page[touchstone.RuntimeEvent], error) {
	return get[Page[touchstone.RuntimeEvent]](ctx, c, "/v1/guard/events", p.values("namespace", f.Namespace, "workload", f.Workload,
		"node", f.Node, "kind", string(f.Kind), "action", string(f.Action), "artifact", f.Artifact))
}

// GuardEvent returns one thing that a guard has seen.
func (c *Client) GuardEvent(ctx context.Context, id string) (*touchstone.RuntimeEvent, error) {
	return get[touchstone.RuntimeEvent](ctx, c, "/v1/guard/events/"+url.PathEscape(id), nil)
}

// Guards lists the guards that were heard, by node.
func (c *Client) Guards(ctx context.Context) (*Page[GuardState], error) {
	return get[Page[GuardState]](ctx, c, "/v1/guards", nil)
}
