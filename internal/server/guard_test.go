package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/manifest"
	"touchstone.dev/touchstone/internal/record"
)

const guardTable = `version: 1
environments: [dev, prod]
places:
  - {namespace: shop, environment: prod, owner: team-shop}
  - {namespace: lab, environment: dev}
rules:
  stale-advisories: {others: any}
  unseen: {others: allow}
  mend-within: {others: any, prod: at most 14d}
  run-unknown: {dev: alert, prod: kill}
  login: {others: alert}
`

// plant is a cluster in memory: its pods by node, the tokens of its guards, and what
// was done there.
type plant struct {
	mu      sync.Mutex
	pods    map[string][]gate.Pod
	changed chan struct{}
	lost    error
	follows Follower
	held    string
	evicted []string
	told    []string
}

func (p *plant) Guard(_ context.Context, token string) (string, error) {
	if node, ok := strings.CutPrefix(token, "a.b."); ok {
		return node, nil
	}
	return "", p.lost
}

func (p *plant) Pods(_ context.Context, node string) ([]gate.Pod, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pods[node], p.changed, p.lost
}

func (p *plant) Follow(context.Context, *gate.Pod) (Follower, error) { return p.follows, nil }

func (p *plant) Evict(_ context.Context, pod *gate.Pod) (string, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == "" {
		p.evicted = append(p.evicted, pod.Name)
	}
	return p.held, 10 * time.Second, nil
}

func (p *plant) Tell(pod *gate.Pod, e *touchstone.RuntimeEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, pod.Name+": "+string(e.Kind))
}

// change changes what runs, and tells who waits for it.
func (p *plant) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	close(p.changed)
	p.changed = make(chan struct{})
}

func newPlant(t *testing.T) (*plant, *house) {
	t.Helper()
	pod := func(namespace, name, environment string) gate.Pod {
		return gate.Pod{
			Namespace: namespace, Name: name, UID: "uid-" + name, Workload: touchstone.Workload{Kind: "Deployment", Name: "cart"},
			Place: touchstone.Place{Environment: environment, Cluster: "lab", Namespace: namespace, Class: touchstone.ClassApplication, Assumed: []string{}},
			Containers: []gate.PodContainer{
				{Name: "cart", Role: gate.RoleMain, Image: "127.0.0.1:1/shop/cart:1", Restart: gate.RestartAlways, Probes: [][]string{{"cat", "/ready"}}},
				{Name: "once", Role: gate.RoleInit, Image: "127.0.0.1:1/shop/once:1", Restart: gate.RestartNever},
			},
		}
	}
	p := &plant{
		pods:    map[string][]gate.Pod{"node1": {pod("lab", "try", "dev"), pod("shop", "cart-1", "prod")}, "node2": {pod("shop", "cart-2", "prod")}},
		changed: make(chan struct{}), follows: Follower{Verdict: touchstone.Allowed},
	}
	h := open(t, func(c *Config) {
		c.Rules, c.Enforce = []byte(guardTable), true
		c.Gates = append(c.Gates, func(*Rooms) (*Gate, error) { return &Gate{Nodes: p}, nil })
	})
	return p, h
}

// guard is a client of the guard of a node.
func (h *house) guard(t *testing.T, node string) *api.Client { return h.client(t, "a.b."+node) }

func (h *house) saw(pod string, kind touchstone.RuntimeEventKind, action touchstone.Effect) touchstone.RuntimeEvent {
	now := h.clock.now()
	e := touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(now), At: now, Count: 1, Kind: kind, Node: "node1",
		Running: touchstone.Running{ID: "c-" + pod, PodUID: "uid-" + pod, Pod: pod, Workload: touchstone.Workload{Container: "cart"}},
		Reason:  touchstone.Reason{Rule: string(kind)}, Action: action,
	}
	if kind == touchstone.EventLogin {
		e.Login = &touchstone.Login{Kind: touchstone.LoginExec, Command: []string{"sh"}}
	} else {
		e.Execution = &touchstone.Execution{Kind: touchstone.ExecuteProgram, Path: "tmp/\x1b[31mx", Size: 7}
	}
	return e
}

func sendAll(t *testing.T, c *api.Client, node string, events ...touchstone.RuntimeEvent) []api.GuardReceipt {
	t.Helper()
	got, err := c.SendGuardEvents(t.Context(), api.GuardEvents{Node: node, Events: events})
	check(t, err)
	if len(got.Items) != len(events) {
		t.Fatalf("%d receipts for %d events", len(got.Items), len(events))
	}
	return got.Items
}

// A guard's token, whoever made it, is for its own node alone, and for nothing that
// people do.
func TestAGuardReachesItsNodeAlone(t *testing.T) {
	p, h := newPlant(t)
	made, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "vm", Role: api.Guard, Node: "node1"})
	check(t, err)
	event := h.saw("cart-1", touchstone.EventRunUnknown, touchstone.EffectKill)
	for what, c := range map[string]*api.Client{"of the server": h.client(t, made.Secret), "of the cluster": h.guard(t, "node1")} {
		ctx := t.Context()
		g, err := c.GuardGround(ctx, "node1", "")
		check(t, err)
		if len(g.Pods) != 2 || g.Pods[0].Namespace != "lab" || !g.Pods[1].Enforced || g.Source != guardTable || g.Rules != touchstone.DigestOf([]byte(guardTable)) {
			t.Errorf("%s: the ground is %+v", what, g)
		}
		config, layers := touchstone.DigestOf(nil), []touchstone.Digest{touchstone.DigestOf([]byte("x"))}
		theirs := event
		theirs.Node = "node2"
		for that, try := range map[string]func() error{
			"ground":    func() error { _, err := c.GuardGround(ctx, "node2", ""); return err },
			"manifests": func() error { _, err := c.GuardManifest(ctx, "node2", config, layers, ""); return err },
			"files": func() error {
				return c.GuardFiles(ctx, "node2", &api.GuardManifest{Config: config}, layers, &bytes.Buffer{})
			},
			"events": func() error {
				_, err := c.SendGuardEvents(ctx, api.GuardEvents{Node: "node2", Events: []touchstone.RuntimeEvent{theirs}})
				return err
			},
			"successor": func() error {
				_, err := c.GuardSuccessor(ctx, api.GuardPodAsk{Node: "node2", Namespace: "shop", Pod: "cart-2", PodUID: "uid-cart-2"})
				return err
			},
			"eviction": func() error {
				_, err := c.EvictForGuard(ctx, api.GuardEviction{Node: "node2", Namespace: "shop", Pod: "cart-2", PodUID: "uid-cart-2", Event: event.ID})
				return err
			},
			"what people read": func() error { _, err := c.GuardEvents(ctx, api.GuardEventFilter{}, api.Paging{}); return err },
			"rules":            func() error { _, err := c.Rules(ctx); return err },
			"tokens":           func() error { _, err := c.MakeToken(ctx, api.TokenAsk{Name: "x", Role: api.Viewer}); return err },
		} {
			if err := try(); !status(err, http.StatusForbidden) {
				t.Errorf("%s, another node's %s: %v", what, that, err)
			}
		}
		for that, try := range map[string]func() error{
			"successor": func() error {
				_, err := c.GuardSuccessor(ctx, api.GuardPodAsk{Namespace: "shop", Pod: "cart-2", PodUID: "uid-cart-2"})
				return err
			},
			"a pod made anew": func() error {
				_, err := c.GuardSuccessor(ctx, api.GuardPodAsk{Namespace: "shop", Pod: "cart-1", PodUID: "uid-before"})
				return err
			},
			"manifest": func() error { _, err := c.GuardManifest(ctx, "", config, layers, ""); return err },
		} {
			if err := try(); !api.Absent(err) {
				t.Errorf("%s, no such %s: %v", what, that, err)
			}
		}
		if got := sendAll(t, c, "node1", theirs); got[0].State != api.GuardRefused {
			t.Errorf("%s: another node's event is %+v", what, got)
		}
	}
	if _, err := h.admin.GuardGround(t.Context(), "node1", ""); !status(err, http.StatusForbidden) {
		t.Errorf("an administrator is no guard: %v", err)
	}
	for what, ask := range map[string]api.TokenAsk{
		"a guard of no node": {Name: "x", Role: api.Guard}, "a person of a node": {Name: "x", Role: api.Viewer, Node: "node1"},
		"a guard of an environment": {Name: "x", Role: api.Guard, Node: "node1", Scope: []string{"prod"}},
	} {
		if _, err := h.admin.MakeToken(t.Context(), ask); !status(err, http.StatusUnprocessableEntity) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := h.client(t, "x.y.z").GuardGround(t.Context(), "", ""); !status(err, http.StatusUnauthorized) {
		t.Errorf("a token that the cluster does not know: %v", err)
	}
	p.lost = errors.New("the API server is away")
	if _, err := h.client(t, "x.y.zz").GuardGround(t.Context(), "", ""); !status(err, http.StatusServiceUnavailable) {
		t.Errorf("while the cluster cannot be asked: %v", err)
	}
}

func TestTheGroundIsToldWhenItChanges(t *testing.T) {
	p, h := newPlant(t)
	c := h.guard(t, "node1")
	g, err := c.GuardGround(t.Context(), "node1", "")
	check(t, err)
	again, err := c.GuardGround(t.Context(), "node1", "sha256:another")
	check(t, err)
	if again.Version != g.Version || again.Unchanged {
		t.Errorf("a version that is not known: %+v", again)
	}
	change := func(what string, do func()) *api.GuardGround {
		t.Helper()
		got := make(chan *api.GuardGround, 1)
		go func() {
			next, err := c.GuardGround(t.Context(), "node1", g.Version)
			if err != nil {
				t.Error(err)
			}
			got <- next
		}()
		select {
		case next := <-got:
			t.Fatalf("%s: answered before anything has changed: %+v", what, next)
		case <-time.After(100 * time.Millisecond):
		}
		do()
		select {
		case next := <-got:
			if next.Unchanged || next.Version == g.Version {
				t.Fatalf("%s: %+v", what, next)
			}
			g = next
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: not told", what)
		}
		return g
	}
	change("a pod is gone", func() { p.change(func() { p.pods["node1"] = p.pods["node1"][1:] }) })
	if len(g.Pods) != 1 || len(g.Pods[0].Containers[0].Probes) != 1 {
		t.Errorf("%+v", g.Pods)
	}
	change("the mode", func() {
		_, err := h.admin.SetMode(t.Context(), "shop", api.ModeAsk{Enforce: false, Reason: "looking"})
		check(t, err)
	})
	if g.Pods[0].Enforced {
		t.Error("it is enforced")
	}
	// The server ends although guards wait.
	ended := make(chan *api.GuardGround, 1)
	go func() {
		last, _ := c.GuardGround(context.Background(), "node1", g.Version)
		ended <- last
	}()
	time.Sleep(50 * time.Millisecond)
	begun := time.Now()
	check(t, h.stop())
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the end took %s", took)
	}
	<-ended
}

func TestEventsOfGuardsAreKeptAndTold(t *testing.T) {
	p, h := newPlant(t)
	c := h.guard(t, "node1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	streamed := make(chan api.Event, 10)
	listening := make(chan struct{})
	go func() {
		close(listening)
		for e, err := range h.admin.Events(ctx) {
			if err != nil {
				return
			}
			if e.Guard != nil {
				streamed <- e
			}
		}
	}()
	<-listening
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		h.broker.mu.Lock()
		n := len(h.broker.listeners)
		h.broker.mu.Unlock()
		if n > 0 {
			break
		}
	}
	kill := h.saw("cart-1", touchstone.EventRunUnknown, touchstone.EffectKill)
	login := h.saw("try", touchstone.EventLogin, touchstone.EffectNone)
	got := sendAll(t, c, "node1", kill, login, kill)
	if got[0].State != api.GuardTaken || got[1].State != api.GuardTaken || got[1].Login == nil || got[1].Login.Admitted != "" || got[2].State != api.GuardKnown {
		t.Errorf("%+v", got)
	}
	check(t, h.stop())
	h.start(t)
	c = h.guard(t, "node1")
	if again := sendAll(t, c, "node1", kill, login); again[0].State != api.GuardKnown || again[1].State != api.GuardKnown {
		t.Errorf("sent again to a server that has started anew: %+v", again)
	}
	select {
	case e := <-streamed:
		if e.Kind != "guard" || e.Guard.ID != kill.ID {
			t.Errorf("streamed %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Error("not streamed")
	}
	for want, f := range map[string]api.GuardEventFilter{
		login.ID + kill.ID: {}, kill.ID: {Namespace: "shop"}, login.ID: {Kind: touchstone.EventLogin},
	} {
		if want == login.ID+kill.ID {
			f.Node = "node1"
		}
		list, err := h.admin.GuardEvents(t.Context(), f, api.Paging{})
		check(t, err)
		ids := ""
		for _, e := range list.Items {
			ids += e.ID
		}
		if ids != want {
			t.Errorf("%+v lists %s, want %s", f, ids, want)
		}
	}
	for _, f := range []api.GuardEventFilter{{Node: "node2"}, {Workload: "Pod cart"}, {Action: touchstone.EffectBlock}} {
		if list, err := h.admin.GuardEvents(t.Context(), f, api.Paging{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%+v lists %+v (%v)", f, list, err)
		}
	}
	one, err := h.admin.GuardEvent(t.Context(), kill.ID)
	check(t, err)
	if one.Running.Namespace != "shop" || one.Place.Environment != "prod" {
		t.Errorf("%+v", one)
	}
	if _, err := h.admin.GuardEvent(t.Context(), "nothing"); !api.Absent(err) {
		t.Errorf("no such event: %v", err)
	}
	if p.told == nil || len(p.told) != 1 || !strings.HasPrefix(p.told[0], "cart-1: run-unknown") {
		t.Errorf("the cluster was told %q", p.told)
	}
	metrics, err := h.admin.Metrics(t.Context())
	check(t, err)
	for _, want := range []string{`touchstone_guard_last_heard_seconds{node="node1"}`, "touchstone_guards_silent 0"} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	entries, err := h.admin.Log(t.Context(), "guard-event", "", api.Paging{})
	check(t, err)
	if len(entries.Items) != 2 || entries.Items[0].Actor != "system:guard:node1" {
		t.Errorf("the log has %+v", entries.Items)
	}
}

func TestASilentGuardIsToldOf(t *testing.T) {
	p, h := newPlant(t)
	for _, node := range []string{"node1", "node2", "node3"} { // of the last nothing is known: it is gone
		_, err := h.guard(t, node).GuardGround(t.Context(), "", "")
		check(t, err)
	}
	warned := func() string {
		h.health.mu.Lock()
		h.health.at = time.Time{}
		h.health.mu.Unlock()
		ready, err := h.admin.Ready(t.Context())
		check(t, err)
		if !ready.Ready {
			t.Errorf("not ready: %+v", ready)
		}
		return strings.Join(ready.Warnings, "\n")
	}
	if w := warned(); strings.Contains(w, "guard") {
		t.Errorf("warned of %s", w)
	}
	check(t, h.guards.keep(t.Context()))
	check(t, h.stop())
	h.clock.pass(time.Hour)
	h.start(t)
	if w := warned(); strings.Contains(w, "guard") {
		t.Errorf("just started, and warns of %s", w)
	}
	h.clock.pass(4 * time.Minute)
	_, err := h.guard(t, "node2").GuardGround(t.Context(), "", "")
	check(t, err)
	if w := warned(); !strings.Contains(w, "the guard of node node1 has not been heard since") || strings.Contains(w, "node2") || strings.Contains(w, "node3") {
		t.Errorf("it says %q", w)
	}
	all, err := h.admin.Guards(t.Context())
	check(t, err)
	if len(all.Items) != 3 || !all.Items[0].Silent || all.Items[1].Silent {
		t.Errorf("%+v", all.Items)
	}
	h.clock.pass(8 * 24 * time.Hour)
	check(t, h.guards.keep(t.Context()))
	if all := h.guards.list(); len(all) != 0 {
		t.Errorf("after a week: %+v", all)
	}
	_ = p
}

func TestNothingIsTakenAwayThatWouldNotComeBack(t *testing.T) {
	p, h := newPlant(t)
	c := h.guard(t, "node1")
	kill := h.saw("cart-1", touchstone.EventRunUnknown, touchstone.EffectKill)
	alert := h.saw("cart-1", touchstone.EventLogin, touchstone.EffectKill) // the rule says alert there
	other := h.saw("try", touchstone.EventRunUnknown, touchstone.EffectKill)
	sendAll(t, c, "node1", kill, alert, other)
	evict := func(event string) (*api.GuardEvicted, error) {
		return c.EvictForGuard(t.Context(), api.GuardEviction{Namespace: "shop", Pod: "cart-1", PodUID: "uid-cart-1", Event: event})
	}
	for what, id := range map[string]string{"an event whose rule says less": alert.ID, "another pod's": other.ID} {
		if _, err := evict(id); !status(err, http.StatusForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := evict("none"); !status(err, http.StatusUnprocessableEntity) {
		t.Errorf("without an event: %v", err)
	}
	p.follows = Follower{Verdict: touchstone.Refused, Reasons: []string{"cvss: 9.8"}}
	got, err := evict(kill.ID)
	check(t, err)
	if got.Done || !strings.Contains(got.Problem, "rebuild first") || len(got.Reasons) != 1 || p.evicted != nil {
		t.Errorf("although what follows is refused: %+v", got)
	}
	p.follows = Follower{Verdict: touchstone.Allowed, Images: []string{"127.0.0.1:1/shop/cart:1"}}
	if got, err = evict(kill.ID); err != nil || got.Done || got.Verdict != touchstone.Undecided || p.evicted != nil {
		t.Errorf("although its image cannot be pulled: %+v %v", got, err)
	}
	host := port(t)
	p.follows.Images = []string{push(t, host, "shop/cart:1", "1000")}
	p.held = "it would violate the pod's disruption budget"
	if got, err = evict(kill.ID); err != nil || got.Done || got.Problem != p.held || got.RetryAfter != 10 {
		t.Errorf("although a budget holds it: %+v %v", got, err)
	}
	p.held = ""
	if got, err = evict(kill.ID); err != nil || !got.Done || len(p.evicted) != 1 {
		t.Errorf("with nothing in the way: %+v %v", got, err)
	}
	for range mostEvictions {
		got, err = evict(kill.ID)
		check(t, err)
	}
	if got.Done || !strings.Contains(got.Problem, "somebody must look") || got.RetryAfter == 0 {
		t.Errorf("however many: %+v", got)
	}
	_, err = h.admin.SetMode(t.Context(), "shop", api.ModeAsk{Enforce: false})
	check(t, err)
	if _, err := evict(kill.ID); !status(err, http.StatusForbidden) {
		t.Errorf("where the rules are only reported on: %v", err)
	}
	noted, err := h.admin.Log(t.Context(), "eviction", "shop/cart-1", api.Paging{})
	check(t, err)
	if len(noted.Items) < 4 || !strings.Contains(string(noted.Items[0].Document), "cvss: 9.8") {
		t.Errorf("the log has %d evictions: %s", len(noted.Items), noted.Items[0].Document)
	}
	for container, want := range map[string]touchstone.Verdict{"cart": touchstone.Allowed, "once": touchstone.Refused} {
		got, err := c.GuardSuccessor(t.Context(), api.GuardPodAsk{Namespace: "shop", Pod: "cart-1", PodUID: "uid-cart-1", Container: container})
		check(t, err)
		if got.Verdict != want || got.Workload.Container != container {
			t.Errorf("the container %s: %+v, want %s", container, got, want)
		}
	}
}

// The list of files that a guard gets is the one that was made, whole.
func TestManifests(t *testing.T) {
	p, h := newPlant(t)
	host := port(t)
	image := push(t, host, "shop/cart:1", "1000")
	ref, err := name.ParseReference(image)
	check(t, err)
	im, err := remote.Image(ref)
	check(t, err)
	config, err := im.ConfigName()
	check(t, err)
	file, err := im.ConfigFile()
	check(t, err)
	digest, err := im.Digest()
	check(t, err)
	var layers []touchstone.Digest
	for _, l := range file.RootFS.DiffIDs {
		layers = append(layers, touchstone.Digest(l.String()))
	}
	p.change(func() {
		one := &p.pods["node1"][0].Containers[0]
		one.Image, one.Digest = image, touchstone.Digest(digest.String())
	})
	c := h.guard(t, "node1")
	ask := func(image string) (*api.GuardManifest, error) {
		return c.GuardManifest(t.Context(), "node1", touchstone.Digest(config.String()), layers, image)
	}
	if _, err := ask("127.0.0.1:1/not/there:1"); !api.Absent(err) || !strings.Contains(err.Error(), "no pod of the node") {
		t.Errorf("what no pod runs: %v", err)
	}
	var m *api.GuardManifest
	for deadline := time.Now().Add(30 * time.Second); m == nil; time.Sleep(20 * time.Millisecond) {
		m, err = ask(image)
		if err != nil && !api.Absent(err) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if m.Manifest.Files == 0 || !m.Manifest.Blob.Valid() || m.Platform == "" {
		t.Errorf("%+v", m)
	}
	var got bytes.Buffer
	check(t, c.GuardFiles(t.Context(), "node1", m, layers, &got))
	read, err := manifest.Open(got.Bytes())
	check(t, err)
	if f, ok, err := read.Lookup("etc/hello"); err != nil || !ok || f.Size == 0 {
		t.Errorf("%+v %v %v", f, ok, err)
	}
	m.Manifest.Blob = touchstone.DigestOf([]byte("another"))
	if err := c.GuardFiles(t.Context(), "node1", m, layers, &got); err == nil || !strings.Contains(err.Error(), "was wanted") {
		t.Errorf("files of another digest: %v", err)
	}
	if _, err := c.GuardManifest(t.Context(), "node1", touchstone.Digest(config.String()), layers[:0], ""); !api.Absent(err) {
		t.Errorf("with other layers: %v", err)
	}
}

func TestManyEventsAtOnce(t *testing.T) {
	_, h := newPlant(t)
	c := h.guard(t, "node1")
	var all []touchstone.RuntimeEvent
	for i := range mostSightings {
		e := h.saw("cart-1", touchstone.EventRunUnknown, touchstone.EffectAlert)
		e.Execution.Path = fmt.Sprint("tmp/", i%5)
		all = append(all, e)
	}
	for _, r := range sendAll(t, c, "node1", all...) {
		if r.State != api.GuardTaken {
			t.Fatalf("%+v", r)
		}
	}
	_, err := c.SendGuardEvents(t.Context(), api.GuardEvents{Node: "node1", Events: append(all, all[0])})
	if !status(err, http.StatusUnprocessableEntity) {
		t.Errorf("one more: %v", err)
	}
}

// A node that somebody has taken fills neither the record nor the server's time.
func TestOneNodeIsBounded(t *testing.T) {
	_, h := newPlant(t)
	c := h.guard(t, "node1")
	ask := func(c *api.Client) error {
		_, err := c.GuardSuccessor(t.Context(), api.GuardPodAsk{Namespace: "shop", Pod: "none", PodUID: "none"})
		return err
	}
	for n := range mostAsks {
		if err := ask(c); !api.Absent(err) {
			t.Fatalf("question %d: %v", n, err)
		}
	}
	if err := ask(c); !status(err, http.StatusTooManyRequests) {
		t.Errorf("one question more: %v", err)
	}
	if err := ask(h.guard(t, "node2")); !api.Absent(err) {
		t.Errorf("another node's: %v", err)
	}
	h.clock.pass(asksEvery)
	if err := ask(c); !api.Absent(err) {
		t.Errorf("a second later: %v", err)
	}
	large := h.saw("cart-1", touchstone.EventRunUnknown, touchstone.EffectAlert)
	large.Execution.Path = strings.Repeat("x", 3<<20)
	for n := 0; ; n++ {
		_, err := c.SendGuardEvents(t.Context(), api.GuardEvents{Events: []touchstone.RuntimeEvent{large}})
		if status(err, http.StatusTooManyRequests) && n > 0 {
			break
		}
		if err != nil || n > mostBytes/(3<<20) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	for _, e := range h.guards.list() {
		if e.Silent {
			t.Errorf("%+v", e)
		}
	}
}
