package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
)

// What was changed is told, and nothing else: by events as it happens, and whole on
// being asked.
func TestDrift(t *testing.T) {
	b := newBox(t)
	if err := os.Remove(b.volume + "/unknown"); err != nil {
		t.Fatal(err)
	}
	g := startGuard(t, "rules:\n  run-unknown: {others: allow}\n  change: {others: alert}\n"+
		"writable:\n  - {paths: [/var/cache], because: pages that are rendered}\n", func(c *guard.Config) { c.DriftEvery = time.Second })
	g.watches(b, touchstone.EffectNone)
	for _, line := range []string{
		"echo new >/opt/new",                                          // added
		"echo other >/etc/words",                                      // changed
		"rm /etc/motd",                                                // removed
		"chmod 600 /etc/passwd",                                       // another mode
		"chown 1000:1000 /etc/group",                                  // another owner
		"mkdir /srv/folder && ln -s /etc/words /srv/link",             // other kinds
		"mv /etc/issue /etc/was-issue",                                // renamed
		"touch /bin/known /etc/profile",                               // nothing
		"cat /etc/shells >/tmp/s; cat /tmp/s >/etc/shells; rm /tmp/s", // nothing
		"echo data >/volume/data.txt; echo data >/shm/data",           // data of volumes
		"echo data >/var/cache/page",                                  // declared
		"cp /bin/known /volume/copy",                                  // of the image's content
		"/actor tiny /volume/tool 83; /actor tiny /var/cache/tool 83; /actor tiny /shm/tool 83", // what can be executed
	} {
		b.must("/bin/sh", "-c", line)
	}
	want := []string{
		"added etc/was-issue", "added opt/new", "added shm/tool in shm", "added srv/folder", "added srv/link", "added var/cache/tool", "added volume/tool in volume",
		"changed etc/group", "changed etc/passwd", "changed etc/words", "removed etc/issue", "removed etc/motd",
	}
	told := func() []string {
		var out []string
		for _, e := range g.told(ofKind(b, touchstone.EventChange)) {
			out = append(out, differs(e.Drift))
		}
		slices.Sort(out)
		return out
	}
	within(t, 20*time.Second, "as much is told as was changed", func() bool { return len(told()) >= len(want) })
	checks := g.local
	for range 2 { // and stays so after another look at everything
		var report bytes.Buffer
		if err := checks.Drift(context.Background(), b.id, false, &report); err != nil {
			t.Fatal(err)
		}
		var r touchstone.DriftReport
		if err := json.Unmarshal(report.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		var asked []string
		for i := range r.Drift {
			asked = append(asked, differs(&r.Drift[i]))
		}
		slices.Sort(asked)
		if diff := cmp.Diff(want, asked); diff != "" || !r.Complete {
			t.Errorf("complete %t, gaps %+v, asked (-want +got):\n%s", r.Complete, r.Gaps, diff)
		}
	}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	for _, e := range g.told(ofKind(b, touchstone.EventChange)) {
		switch e.Drift.Path {
		case "etc/words":
			if e.Drift.Want == nil || e.Drift.Have == nil || e.Drift.Want.SHA256 == e.Drift.Have.SHA256 || e.Action != touchstone.EffectAlert {
				t.Errorf("%+v", e.Drift)
			}
		case "etc/passwd":
			if e.Drift.Want == nil || e.Drift.Have == nil || e.Drift.Want.Mode == e.Drift.Have.Mode {
				t.Errorf("%+v", e.Drift)
			}
		}
	}
	var people bytes.Buffer
	if err := checks.Drift(context.Background(), b.id, true, &people); err != nil || !bytes.Contains(people.Bytes(), []byte("etc/words")) {
		t.Errorf("%v\n%s", err, &people)
	}
}

func differs(d *touchstone.Drift) string {
	s := string(d.Change) + " " + d.Path
	if d.Volume != "" {
		s += " in " + d.Volume
	}
	return s
}

// A change that kills stops the container.
func TestChangeKills(t *testing.T) {
	b := newSmallBox(t)
	if err := os.Remove(b.volume + "/unknown"); err != nil { // it would be told first
		t.Fatal(err)
	}
	g := startGuard(t, "rules:\n  run-unknown: {others: allow}\n  change: {others: kill}\n", func(c *guard.Config) { c.DriftEvery = 200 * time.Millisecond })
	g.watches(b, touchstone.EffectNone)
	b.act("write", "/etc/words", "644", "other\n")
	e := g.await("the change", ofKind(b, touchstone.EventChange))
	if e.Drift.Path != "etc/words" || !has(e.Steps, touchstone.DeedStopped, "runtime") {
		t.Errorf("%s: %+v", e.Drift.Path, e)
	}
	within(t, 5*time.Second, "it is stopped", func() bool { return !b.running() })
}

// A guard that is started again tells what has changed meanwhile, and not once more of
// what it has told.
func TestDriftIsToldOnceOverRestarts(t *testing.T) {
	b := newSmallBox(t)
	g, c := prepareGuard(t, "rules:\n  run-unknown: {others: allow}\n  change: {others: alert}\n")
	changed := func(path string) func(*touchstone.RuntimeEvent) bool {
		return func(e *touchstone.RuntimeEvent) bool {
			return e.Kind == touchstone.EventChange && e.Running.ID == b.id && e.Drift.Path == path
		}
	}
	g.start(c)
	g.watches(b, touchstone.EffectNone)
	b.must("/actor", "write", "/first", "644", "x")
	g.await("the first", changed("first"))
	g.stop()
	b.must("/actor", "write", "/second", "644", "x")
	c.Source = &guard.Files{Rules: g.rules, Every: 20 * time.Millisecond}
	g.start(c)
	g.await("what came while no guard was there", changed("second"))
	b.must("/actor", "write", "/third", "644", "x")
	g.await("the third", changed("third"))
	b.must("/actor", "write", "/first", "644", "other")
	within(t, 20*time.Second, "it is told that it is another now", func() bool { return len(g.told(changed("first"))) > 1 })
	if n := len(g.told(changed("second"))) + len(g.told(changed("third"))); n != 2 {
		t.Errorf("the second and the third were told %d times", n)
	}
	if n := len(g.told(changed("first"))); n != 2 {
		t.Errorf("the first was told %d times, want each of its contents once", n)
	}
}
