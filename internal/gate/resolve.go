package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/singleflight"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/oci"
)

// The bounds of resolving.
const (
	resolvedFor  = time.Minute            // how long an answer holds
	failedFor    = 5 * time.Second        // how long a failure does
	resolveTime  = 3 * time.Second        // how long a registry may take
	resolveSpare = 300 * time.Millisecond // what is left of the asker's time to answer in
	resolveMost  = 32                     // how many at once
	resolveKept  = 20_000                 // how many answers are held
)

// resolver finds the digest that a tag stands for: once a minute for each
// reference and credential, however many ask.
type resolver struct {
	c     *DoorConfig
	group singleflight.Group
	slots chan struct{}

	mu     sync.Mutex
	known  map[string]resolution
	silent map[string]time.Time // registries that did not answer in time, and until when nobody waits for them

	failures atomic.Int64
}

type resolution struct {
	digest  touchstone.Digest
	problem string // why there is no digest
	at      time.Time
}

func newResolver(c *DoorConfig) *resolver {
	return &resolver{c: c, slots: make(chan struct{}, resolveMost), known: map[string]resolution{}, silent: map[string]time.Time{}}
}

// resolve returns the digest, or why there is none.
func (v *resolver) resolve(ctx context.Context, n named, cred Credential) (touchstone.Digest, string) {
	secret, err := json.Marshal(cred)
	if err != nil {
		return "", err.Error()
	}
	key := n.name() + "\n" + string(secret)
	if r, ok := v.lookup(key, n.host()); ok {
		return r.digest, r.problem
	}
	// The registry is asked for everybody who waits, and for who asks next:
	// whoever goes away takes nothing with them.
	answer := v.group.DoChan(key, func() (any, error) {
		if r, ok := v.lookup(key, n.host()); ok {
			return r, nil
		}
		r := v.ask(context.WithoutCancel(ctx), n, cred)
		v.keep(key, r)
		return r, nil
	})
	wait, cancel := context.WithTimeout(ctx, resolveTime+resolveSpare)
	defer cancel()
	if end, ok := ctx.Deadline(); ok {
		wait, cancel = context.WithDeadline(ctx, end.Add(-resolveSpare))
		defer cancel()
	}
	select {
	case a := <-answer:
		r := a.Val.(resolution)
		return r.digest, r.problem
	case <-wait.Done():
		return "", n.host() + " did not answer in time\nhint: try again later, or use a mirror"
	}
}

// lookup returns what is known and young enough, by a clock that may be set back.
func (v *resolver) lookup(key, host string) (resolution, bool) {
	now := v.c.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.known[key]
	holds := resolvedFor
	if r.problem != "" {
		holds = failedFor
	}
	if age := now.Sub(r.at); ok && age >= 0 && age < holds {
		return r, true
	}
	if wait := v.silent[host].Sub(now); wait > 0 && wait <= failedFor {
		return resolution{problem: host + " does not answer\nhint: try again later, or use a mirror", at: now}, true
	}
	return resolution{}, false
}

func (v *resolver) keep(key string, r resolution) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= resolveKept {
		clear(v.known)
	}
	v.known[key] = r
}

// ask asks the registry.
func (v *resolver) ask(ctx context.Context, n named, cred Credential) resolution {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	at := v.c.Now()
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		v.failures.Add(1)
		return resolution{problem: fmt.Sprintf("%d other references are being resolved\nhint: try again", resolveMost), at: at}
	}
	r, missing := registries(ctx, v.c, cred)
	d, err := oci.Digest(ctx, n.name(), r, oci.Options{})
	if err == nil {
		return resolution{digest: d, at: at}
	}
	v.failures.Add(1)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		v.mu.Lock()
		v.silent[n.host()] = at.Add(failedFor)
		v.mu.Unlock()
	}
	return resolution{problem: noted(err, missing), at: at}
}

// registries returns how registries are reached with a credential: what the pull
// secrets hold comes first, then what the server has of its own. A pull secret
// that cannot be read is passed over, as a node does; missing says so.
func registries(ctx context.Context, c *DoorConfig, cred Credential) (r oci.Registries, missing error) {
	r = c.Registries
	own := r.Keychain
	if own == nil {
		own = authn.DefaultKeychain
	}
	r.Keychain = own
	if c.Keychain == nil || cred.empty() {
		return r, nil
	}
	theirs, err := c.Keychain(ctx, cred)
	if err != nil {
		return r, fmt.Errorf("reading the pull secrets of %s: %w", cred.Namespace, err)
	}
	r.Keychain = authn.NewMultiKeychain(theirs, own)
	return r, nil
}

// noted is what went wrong, with what was missing for it.
func noted(err, missing error) string {
	if missing == nil {
		return err.Error()
	}
	return missing.Error() + "; " + err.Error()
}

func (c Credential) empty() bool { return len(c.Secrets) == 0 && c.ServiceAccount == "" }

func (c Credential) same(o Credential) bool {
	return c.Namespace == o.Namespace && c.ServiceAccount == o.ServiceAccount && slices.Equal(c.Secrets, o.Secrets)
}
