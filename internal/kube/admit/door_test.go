package admit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/rules"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const table = `version: 1
environments: [dev, prod]
places:
  - {namespace: lab, environment: dev}
  - {namespace: kube-system, environment: prod, class: system}
rules:
  runs-as-root: {dev: warn, prod: refuse}
  unseen: {dev: allow, prod: refuse}
  login: {dev: allow, prod: block}
  unscored: {others: allow}
  no-advisories: {others: allow}
  stale-advisories: {others: any}
  gaps: {others: allow}
`

// image is what the desk knows of an image.
type image struct {
	digest touchstone.Digest
	user   string // as the image is built; "" is root
	unseen bool
	lies   bool
	gone   bool // the registry does not answer
}

// desk is a door in memory: it knows some images, asks the real Decide, and keeps
// what it was asked.
type desk struct {
	rules  *touchstone.Rules
	images map[string]image // by "repository:tag"
	report map[string]bool  // namespaces in report mode
	now    func() time.Time
	// fails makes every question fail; stuck makes it wait until the channel is
	// closed, whatever the context says.
	fails error
	stuck chan struct{}

	mu     sync.Mutex
	book   *gate.Book
	asked  []gate.Request
	logins []gate.Request
}

// Book returns the same book as long as the rules are the same, as a road does.
func (d *desk) Book(context.Context) (*gate.Book, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.book == nil || d.book.Rules != d.rules {
		d.book = &gate.Book{Rules: d.rules, Source: []byte(table)}
	}
	return d.book, nil
}

func (d *desk) Ask(_ context.Context, q gate.Request) (*gate.Answer, error) {
	d.mu.Lock()
	d.asked = append(d.asked, q)
	id := fmt.Sprintf("D%d", len(d.asked))
	d.mu.Unlock()
	if d.stuck != nil {
		<-d.stuck
	}
	if d.fails != nil {
		return nil, d.fails
	}
	if _, err := name.ParseReference(q.Reference); err != nil {
		return nil, fmt.Errorf("%q is not the name of an image", q.Reference)
	}
	tagged, digest, byDigest := strings.Cut(q.Reference, "@")
	if !strings.Contains(tagged[strings.LastIndexByte(tagged, '/')+1:], ":") {
		tagged += ":latest"
	}
	known := d.images[tagged]
	if byDigest {
		for n, i := range d.images {
			if string(i.digest) == digest && n == tagged {
				known = i
			}
		}
		known.digest = touchstone.Digest(digest)
	}
	c := &touchstone.Case{
		Artifact: touchstone.Artifact{Name: tagged, Kind: touchstone.KindImage, Digest: known.digest}, Question: q.Question, History: q.History, Now: d.now(),
	}
	switch {
	case known.gone || known.digest == "":
		c.Problem = "the registry does not answer\nhint: wait for it"
	case known.lies:
		c.False = "the layer has another digest"
	case !known.unseen:
		c.Evidence = &touchstone.Evidence{ID: "sha256:e", Configuration: touchstone.Configuration{User: known.user}}
	}
	dec := touchstone.Decide(d.rules, c)
	a := &gate.Answer{
		ID: id, Artifact: c.Artifact, Pinned: q.Reference, Decision: dec, Scanning: known.unseen && c.Problem == "",
		Enforced: !d.report[q.Question.Place.Namespace],
	}
	if known.digest != "" {
		a.Pinned = "registry.example/" + tagged[strings.LastIndexByte(tagged, '/')+1:] + "@" + string(known.digest)
	}
	return a, nil
}

func (d *desk) Login(_ context.Context, q gate.Request) (*gate.Answer, error) {
	d.mu.Lock()
	d.logins = append(d.logins, q)
	d.mu.Unlock()
	if d.fails != nil {
		return nil, d.fails
	}
	dec := touchstone.Decide(d.rules, &touchstone.Case{Question: q.Question, Now: d.now()})
	return &gate.Answer{ID: "L1", Decision: dec, Enforced: !d.report[q.Question.Place.Namespace]}, nil
}

// town is a cluster in memory.
type town struct {
	labels map[string]map[string]string // of namespaces
	owners map[string]admit.Owner       // by "kind/name"
	pods   map[string]*metav1.ObjectMeta
	may    map[string]bool // users who may break the glass
	fails  error
}

func (c *town) Namespace(_ context.Context, name string) (admit.Namespace, error) {
	return admit.Namespace{Labels: c.labels[name]}, c.fails
}

func (c *town) Owner(_ context.Context, _ string, refs []metav1.OwnerReference) (admit.Owner, error) {
	for _, r := range refs {
		if o, ok := c.owners[r.Kind+"/"+r.Name]; ok {
			return o, nil
		}
	}
	return admit.Owner{}, admit.ErrNone
}

func (c *town) Runs(string, touchstone.Workload) touchstone.Digest { return "" }

func (c *town) Pod(_ context.Context, namespace, name string) (*metav1.ObjectMeta, error) {
	if p, ok := c.pods[namespace+"/"+name]; ok {
		return p, nil
	}
	return nil, admit.ErrNone
}

func (c *town) May(_ context.Context, who authenticationv1.UserInfo, verb, _ string) (bool, error) {
	if c.fails != nil {
		return false, c.fails
	}
	return verb == "break" && c.may[who.Username], nil
}

var (
	one = touchstone.Digest("sha256:" + strings.Repeat("1", 64))
	two = touchstone.Digest("sha256:" + strings.Repeat("2", 64))
)

// newDesk is a door that knows some images:
//
//	cart:1    runs as 1000                 root:1   runs as root
//	new:1     was not seen before          lie:1    contradicts itself
//	gone:1    its registry is down         pause:latest  runs as 1000
func newDesk(t testing.TB) *desk {
	t.Helper()
	r, _, err := rules.Load("touchstone.yaml", []byte(table), noon)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{
		rules: r, report: map[string]bool{"trial": true}, now: func() time.Time { return noon },
		images: map[string]image{
			"registry.example/cart:1":       {digest: one, user: "1000"},
			"registry.example/root:1":       {digest: two},
			"registry.example/new:1":        {digest: one, unseen: true},
			"registry.example/lie:1":        {digest: two, lies: true},
			"registry.example/gone:1":       {gone: true},
			"registry.example/pause:latest": {digest: two, user: "1000"},
		},
	}
}

func newTown() *town {
	return &town{
		labels: map[string]map[string]string{},
		owners: map[string]admit.Owner{
			"ReplicaSet/cart-5f": {Kind: "Deployment", Name: "cart", UID: "rs-1", Direct: "ReplicaSet"},
			"Job/nightly-1":      {Kind: "CronJob", Name: "nightly", UID: "job-1", Direct: "Job"},
			"Rollout/blue":       {Kind: "Rollout", Name: "blue", UID: "ro-1", Direct: "Rollout"},
		},
		pods: map[string]*metav1.ObjectMeta{
			"shop/cart-5f-x": {Name: "cart-5f-x", OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-5f", UID: "rs-1", Controller: new(true),
			}}},
			"lab/trial": {Name: "trial"},
			"lab/vault": {Name: "vault", Labels: map[string]string{"touchstone.dev/environment": "prod"}},
		},
		may: map[string]bool{"alice": true},
	}
}

var errDown = errors.New("the store is down\nhint: look at its disk")
