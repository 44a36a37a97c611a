package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/wholefile"
)

// Remote is the server that a guard tells and asks: a Source and a Server in one.
// What it judged by last is kept in a file, so that a node that comes up without
// the server is guarded by it.
type Remote struct {
	Client *api.Client
	Node   string // the node's name, as the cluster has it
	Keep   string // path of the file
	Now    func() time.Time

	mu   sync.Mutex
	last *api.GuardGround // as the server told it, or as it was kept
	pods map[string]*api.GuardPod
}

var (
	_ Source = (*Remote)(nil)
	_ Server = (*Remote)(nil)
)

// keptGround is what Remote keeps: the answer, and when it was given by this
// machine's clock.
type keptGround struct {
	Schema string          `json:"schema"` // touchstone.dev/guard-ground/v1
	At     time.Time       `json:"at"`
	Ground api.GuardGround `json:"ground"`
}

const schemaKept = "touchstone.dev/guard-ground/v1"

// Kept returns the ground that was in force when the server was heard last; its
// Confirmed says when. fs.ErrNotExist where there is none.
func (r *Remote) Kept() (*Ground, error) {
	data, err := os.ReadFile(r.Keep)
	if err != nil {
		return nil, fmt.Errorf("reading what was judged by last: %w", err)
	}
	var k keptGround
	if err := json.Unmarshal(data, &k); err != nil || k.Schema != schemaKept {
		return nil, fmt.Errorf("reading what was judged by last: %s is no such file: %w", r.Keep, errors.Join(err, fs.ErrNotExist))
	}
	return r.take(&k.Ground, k.At)
}

// Ground implements Source.
func (r *Remote) Ground(ctx context.Context, last *Ground) (*Ground, error) {
	since := touchstone.Digest("")
	r.mu.Lock()
	if r.last != nil && last != nil {
		since = r.last.Version
	}
	r.mu.Unlock()
	got, err := r.Client.GuardGround(ctx, r.Node, since)
	if err != nil {
		return nil, fmt.Errorf("asking the server what to judge by: %w", err)
	}
	if got.Unchanged && last != nil {
		again := *last
		again.Confirmed = r.Now()
		return &again, nil
	}
	g, err := r.take(got, r.Now())
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(keptGround{schemaKept, g.Confirmed, *got})
	if err != nil {
		return nil, fmt.Errorf("keeping what is judged by: %w", err)
	}
	// Without the file a restart without the server would have nothing to judge by;
	// now there is.
	_ = wholefile.Write(r.Keep, data, 0o600)
	return g, nil
}

// take turns the server's answer into what is judged by.
func (r *Remote) take(got *api.GuardGround, at time.Time) (*Ground, error) {
	table, _, err := rules.Load("the server's rules", []byte(got.Source), at)
	if err != nil {
		return nil, fmt.Errorf("reading the rules that the server told: %w\nhint: the guard must not be older than the server", err)
	}
	if table.Version != got.Rules {
		return nil, fmt.Errorf("the server told rules %s, and called them %s", table.Version.Short(), got.Rules.Short())
	}
	g := &Ground{
		Rules: table, Waivers: got.Waivers, WaiversDigest: got.WaiversDigest, Cluster: got.Cluster, Confirmed: at,
		Pods: make(map[string]Pod, len(got.Pods)), Reported: map[string]bool{},
	}
	g.Host = &got.Place
	pods := make(map[string]*api.GuardPod, len(got.Pods))
	for i := range got.Pods {
		p := &got.Pods[i]
		out := Pod{Namespace: p.Namespace, Name: p.Name, Workload: p.Workload, Place: p.Place, Declared: map[string][][]string{}, Images: map[string]string{}, Debug: map[string]bool{}}
		for _, c := range p.Containers {
			out.Declared[c.Name] = slices.Concat(c.Probes, c.Hooks)
			out.Images[c.Name] = c.Image
			if c.Role == gate.RoleEphemeral {
				out.Debug[c.Name] = true
			}
		}
		g.Pods[p.UID] = out
		pods[p.UID] = p
		if !p.Enforced {
			g.Reported[p.Namespace] = true
		}
	}
	r.mu.Lock()
	r.last, r.pods = got, pods
	r.mu.Unlock()
	return g, nil
}

// Send implements Server.
func (r *Remote) Send(ctx context.Context, events []touchstone.RuntimeEvent) (map[string]touchstone.Login, error) {
	receipts, err := r.Client.SendGuardEvents(ctx, api.GuardEvents{Node: r.Node, Events: events})
	if err != nil {
		return nil, fmt.Errorf("telling the server: %w", err)
	}
	logins := map[string]touchstone.Login{}
	for _, item := range receipts.Items {
		if item.Login != nil {
			logins[item.ID] = *item.Login
		}
	}
	return logins, nil
}

// Follows implements Server.
func (r *Remote) Follows(ctx context.Context, what touchstone.Running) (Follower, error) {
	got, err := r.Client.GuardSuccessor(ctx, api.GuardPodAsk{
		Node: r.Node, Namespace: what.Namespace, Pod: what.Pod, PodUID: what.PodUID, Container: what.Workload.Container,
	})
	if err != nil {
		return Follower{}, err
	}
	return Follower{Verdict: got.Verdict, Why: strings.Join(got.Reasons, "; ")}, nil
}

// Evict implements Server.
func (r *Remote) Evict(ctx context.Context, what touchstone.Running, event string) error {
	got, err := r.Client.EvictForGuard(ctx, api.GuardEviction{
		Node: r.Node, Namespace: what.Namespace, Pod: what.Pod, PodUID: what.PodUID, Event: event,
	})
	if err != nil {
		return err
	}
	if !got.Done {
		return errors.New(got.Problem)
	}
	return nil
}

// Manifest implements Server.
func (r *Remote) Manifest(ctx context.Context, image ImageID, to io.Writer) error {
	known, err := r.Client.GuardManifest(ctx, r.Node, image.Config, image.DiffIDs, image.Name)
	if api.Absent(err) {
		return fmt.Errorf("the server has not inspected the image yet: %w", fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("asking the server for a manifest: %w", err)
	}
	return r.Client.GuardFiles(ctx, r.Node, known, image.DiffIDs, to)
}
