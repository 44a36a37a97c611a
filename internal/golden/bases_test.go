package golden_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/golden"
)

func diffID(n int) touchstone.Digest {
	return touchstone.Digest("sha256:" + fmt.Sprintf("%064x", n))
}

func chain(ns ...int) []touchstone.Digest {
	out := make([]touchstone.Digest, len(ns))
	for i, n := range ns {
		out[i] = diffID(n)
	}
	return out
}

func layers(ns ...int) []touchstone.Layer {
	out := make([]touchstone.Layer, len(ns))
	for i, n := range ns {
		out[i].DiffID = diffID(n)
	}
	return out
}

func TestTrace(t *testing.T) {
	monday := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)
	tuesday := monday.AddDate(0, 0, 1)
	old := touchstone.Base{Name: "base:12", Digest: diffID(100), Chain: chain(1), Created: monday}
	young := touchstone.Base{Name: "base:12", Digest: diffID(101), Chain: chain(2), Created: tuesday}
	longer := touchstone.Base{Name: "java:21", Digest: diffID(102), Chain: chain(1, 5), Created: monday}
	renewed := old
	renewed.Expires, old.Expires = tuesday, monday
	bases := []touchstone.Base{old, young, longer, renewed}
	tests := map[string]struct {
		layers []touchstone.Layer
		want   touchstone.Lineage
	}{
		"none":                        {layers(9, 1), touchstone.Lineage{Known: true}},
		"without layers":              {nil, touchstone.Lineage{Known: true}},
		"the newest":                  {layers(2, 7), touchstone.Lineage{Known: true, Base: &young, Layers: 1}},
		"the longest chain":           {layers(1, 5, 8), touchstone.Lineage{Known: true, Base: &longer, Layers: 2}},
		"an old one, longest renewed": {layers(1, 8), touchstone.Lineage{Known: true, Base: &renewed, Layers: 1, Newer: "base:12@" + string(diffID(101))}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, golden.Trace(bases, tt.layers)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAddListRemove(t *testing.T) {
	bases := golden.Open(filepath.Join(t.TempDir(), "team", "golden.json"))
	if got, err := bases.List(); err != nil || len(got) != 0 {
		t.Fatalf("without a file: %v, %v", got, err)
	}
	base := touchstone.Base{Name: "base:12", Digest: diffID(100), Chain: chain(1), Owner: "team-base"}
	if err := bases.Add(base); err != nil {
		t.Fatal(err)
	}
	base.Owner = "team-other"
	if err := bases.Add(base); err != nil {
		t.Fatal(err)
	}
	got, err := bases.List()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]touchstone.Base{base}, got); diff != "" {
		t.Errorf("a renewed approval (-want +got)\n%s", diff)
	}
	if _, err := bases.Remove("nobody"); !errors.Is(err, golden.ErrNoSuchBase) {
		t.Errorf("removing what is not there: %v", err)
	}
	if removed, err := bases.Remove(string(base.Digest)); err != nil || len(removed) != 1 {
		t.Errorf("removed %v, %v", removed, err)
	}
	if err := bases.Add(touchstone.Base{Name: "scratch"}); err == nil {
		t.Error("a base without layers was approved: every image would stand on it")
	}
}

func TestConcurrentAddsLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golden.json")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := golden.Open(path).Add(touchstone.Base{Name: fmt.Sprint("base:", i), Chain: chain(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := golden.Open(path).List(); err != nil || len(got) != 20 {
		t.Errorf("%d of 20 bases, %v", len(got), err)
	}
}

func TestListRefusesADamagedFile(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":     "{",
		"newer schema": `{"schema":"touchstone.dev/golden/v2"}`,
		"no layers":    `{"schema":"touchstone.dev/golden/v1","bases":[{"name":"x","chain":[]}]}`,
		"bad digest":   `{"schema":"touchstone.dev/golden/v1","bases":[{"name":"x","chain":["sha256:zz"]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "golden.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := golden.Open(path).List(); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that names %s", err, path)
			}
		})
	}
}
