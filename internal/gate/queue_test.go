package gate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0f", 32)
	for _, test := range []struct{ reference, name, pinned string }{
		{"alpine", "docker.io/library/alpine:latest", "docker.io/library/alpine:latest@" + digest},
		{"registry.example:5000/shop/cart:1.4", "registry.example:5000/shop/cart:1.4", "registry.example:5000/shop/cart:1.4@" + digest},
		{"registry.example/cart@" + digest, "registry.example/cart@" + digest, "registry.example/cart@" + digest},
		{"registry.example/cart:1@" + digest, "registry.example/cart:1", "registry.example/cart:1@" + digest},
	} {
		n, err := parse(test.reference)
		if err != nil || n.name() != test.name || n.pinned(touchstone.Digest(digest)) != test.pinned {
			t.Errorf("%s: %s pinned as %s (%v)", test.reference, n.name(), n.pinned(touchstone.Digest(digest)), err)
		}
		if again, err := parse(n.pinned(touchstone.Digest(digest))); err != nil || again.name() != n.name() {
			t.Errorf("%s is judged as %s once it is pinned (%v)", test.reference, again.name(), err)
		}
	}
	for _, wrong := range []string{"", "/etc/passwd", "../x", "UPPER/x", "dir:/etc", "x@sha256:12", "x@sha512:" + strings.Repeat("0", 128), "a b", strings.Repeat("a/", 400)} {
		if n, err := parse(wrong); err == nil {
			t.Errorf("%.40q is taken for %s", wrong, n.name())
		}
	}
}

// Whatever happens to a queue, each scan in it is taken once at a time, a suspect
// alone, and none is lost.
func TestLawTheQueueLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, now := newQueue(20), time.Unix(1_000_000, 0)
		here, running := map[string]bool{}, map[string]*queued{}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				s := Scan{
					Repository: fmt.Sprint("r", rapid.IntRange(0, 30).Draw(t, "repository")), Digest: "d", State: ScanWaiting,
					By: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "by"), Background: rapid.Bool().Draw(t, "background"),
				}
				e, fresh, ok := q.reserve(s)
				if fresh == here[s.key()] && ok {
					t.Fatalf("%s: fresh %v although here %v", s.key(), fresh, here[s.key()])
				}
				switch written := rapid.Bool().Draw(t, "written"); {
				case fresh:
					q.settle(e, written)
					here[s.key()] = written
				case ok && !s.Background:
					q.want(e, Credential{Secrets: []string{s.By}}, now)
				}
			},
			"take": func(t *rapid.T) {
				e, _ := q.take(now)
				if e == nil {
					return
				}
				if running[e.key()] != nil || !here[e.key()] {
					t.Fatalf("%s was taken twice, or was not there", e.key())
				}
				for _, other := range running {
					if e.Deaths > 0 || other.Deaths > 0 {
						t.Fatalf("%s runs beside %s, and one of them is a suspect", e.key(), other.key())
					}
				}
				running[e.key()] = e
			},
			"end": func(t *rapid.T) {
				for key, e := range running {
					delete(running, key)
					s := e.Scan
					switch rapid.IntRange(0, 2).Draw(t, "how") {
					case 0:
						q.done(e)
						here[key] = false
						return
					case 1:
						s.Deaths++
					}
					s.State, s.Next = ScanFailed, now.Add(time.Minute)
					q.put(e, s, now)
					return
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "minutes")) * time.Minute)
			},
		})
		for key, e := range running {
			q.done(e)
			delete(here, key)
		}
		now = now.Add(time.Hour)
		for e, _ := q.take(now); e != nil; e, _ = q.take(now) {
			delete(here, e.key())
			q.done(e)
		}
		for key, left := range here {
			if left {
				t.Errorf("%s was lost", key)
			}
		}
	})
}

func TestACacheKeepsWithinItsBounds(t *testing.T) {
	c := newCache[int](100)
	for i := range 20 {
		c.put(fmt.Sprint(i), i, 10)
		c.get("5") // what is asked for stays
	}
	if _, ok := c.get("5"); !ok || c.held > 100 || len(c.items) > 10 {
		t.Errorf("it holds %d in %d items", c.held, len(c.items))
	}
	if c.put("large", 1, 60); len(c.items) == 0 {
		t.Error("one large value has driven out all others")
	}
}
