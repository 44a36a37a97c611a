package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"touchstone.dev/touchstone/internal/cluster"
	"touchstone.dev/touchstone/internal/cluster/runtime"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/rehydrate"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

// recreate is a hook as somebody would write one for containers without Kubernetes. It
// keeps what it was told, and does nothing twice for one step.
const recreate = `#!/bin/sh
set -e
order=$(cat)
step=$(printf %s "$order" | sed 's/.*"step":"\([^"]*\)".*/\1/')
printf '%s\n' "$order" >> FOLDER/orders
[ ! -e "FOLDER/$step" ] || exit 0
CTR task kill -s 9 web || true
until CTR task delete -f web; do sleep 0.1; done 2>/dev/null
CTR container delete web
CTR run -d --runc-root FOLDER/runc --cgroup /GROUP/web IMAGE web
touch "FOLDER/$step"
if [ ! -e FOLDER/died ]; then touch FOLDER/died; exit 1; fi
`

const recreated = "registry.example/shop/web:1"

// older are containers of which what began until a moment is a month older.
type older struct {
	*containers
	until time.Time
}

func (o older) Fleet(ctx context.Context) (*rehydrate.Fleet, rehydrate.Limits, error) {
	f, l, err := o.containers.Fleet(ctx)
	if err != nil {
		return nil, l, err
	}
	for i := range f.Workloads {
		if w := &f.Workloads[i]; !w.Started.After(o.until) {
			w.Started = w.Started.Add(-30 * 24 * time.Hour)
		}
	}
	return f, l, nil
}

func (older) Ask(context.Context, *rehydrate.Workload) (rehydrate.Follower, error) {
	return rehydrate.Follower{Answer: rehydrate.Allowed}, nil
}

// A container of a real containerd that is old is replaced by a hook, once: though the
// hook says that it failed when it has done all, and whoever looks begins anew.
func TestAHookReplacesAContainer(t *testing.T) {
	r, err := runtime.Open(t.Context())
	if errors.Is(err, os.ErrPermission) || errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	t.Cleanup(r.Close)
	ctr := "ctr --address " + r.Socket() + " -n default"
	run := func(args ...string) {
		t.Helper()
		all := append(strings.Fields(ctr), args...)
		if out, err := exec.CommandContext(t.Context(), all[0], all[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	im, err := cluster.PauseImage()
	must(err)
	ref, err := name.NewTag(recreated)
	must(err)
	folder := r.Folder()
	must(tarball.WriteToFile(filepath.Join(folder, "web.tar"), ref, im))
	hook := filepath.Join(folder, "hook")
	script := strings.NewReplacer("FOLDER", folder, "CTR", ctr, "GROUP", filepath.Base(folder), "IMAGE", recreated).Replace(recreate)
	must(os.WriteFile(hook, []byte(script), 0o700)) //nolint:gosec // it is run
	run("image", "import", filepath.Join(folder, "web.tar"))
	run("run", "-d", "--runc-root", filepath.Join(folder, "runc"), "--cgroup", "/"+filepath.Base(folder)+"/web", recreated, "web")
	t.Cleanup(func() {
		_ = exec.Command("sh", "-c", ctr+" task kill -s 9 web; "+ctr+" task delete -f web; "+ctr+" container delete web").Run() // the rest ends with containerd
	})

	book, _, err := rules.Load("touchstone.yaml", []byte("version: 1\nenvironments: [prod]\nrules: {replace-after: {prod: at most 7d}}\n"), time.Now())
	must(err)
	quiet := slog.New(slog.DiscardHandler)
	there, err := containerd.Open(containerd.Config{Address: r.Socket(), Log: quiet})
	must(err)
	t.Cleanup(func() { _ = there.Close() })
	o := older{&containers{runtime: there, name: "box-1", rules: &table{rules: book}, now: time.Now}, time.Now()}
	began := func() time.Time {
		f, _, err := o.containers.Fleet(t.Context())
		must(err)
		if len(f.Workloads) != 1 || f.Workloads[0].Name != "web" {
			t.Fatalf("%d containers run, want web", len(f.Workloads))
		}
		return f.Workloads[0].Started
	}
	first := began()
	store := storetest.Open(t)
	within, pace := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer pace.Stop()
	for replaced := false; !replaced; {
		c := rehydrate.New(rehydrate.Config{
			Store: store, Runs: o, Gate: o, Hands: &rehydrate.HookHands{Hook: hookOf(hook), Runs: o}, Lease: single{}, Cluster: "box-1", Log: quiet,
		})
		must(c.Tick(t.Context()))
		if f, _, err := o.Fleet(t.Context()); err == nil {
			replaced = len(f.Workloads) == 1 && f.Workloads[0].Started.After(o.until) && len(c.Dues()) == 1 && c.Dues()[0].Hold == rehydrate.HoldRest
		}
		select {
		case <-within:
			t.Fatal("it was not replaced")
		case <-pace.C:
		}
	}
	if !began().After(first) {
		t.Errorf("it runs since %s", first)
	}
	said, err := os.ReadFile(filepath.Join(folder, "orders"))
	must(err)
	steps := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		var one rehydrate.Order
		must(json.Unmarshal([]byte(line), &one))
		steps[one.Step] = true
		if one.Schema != rehydrate.SchemaOrder || one.Of.Name != "web" || one.Of.Namespace != "default" || one.Why == "" || one.Stop {
			t.Errorf("it was told %s", line)
		}
	}
	if len(steps) != 1 {
		t.Error(fmt.Sprint("it was told of ", len(steps), " steps\n", string(said)))
	}
}
