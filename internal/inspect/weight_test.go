package inspect

import (
	"fmt"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
)

// TestWeight reads layers that yield more than may be held: what is dropped is a
// gap, in the layer or in the artifact, and each layer by itself is still read.
func TestWeight(t *testing.T) {
	layerOf := func(name string, n int) []byte {
		var files []file
		for i := range n {
			files = append(files, file{name: fmt.Sprintf("%s/node_modules/p%d/package.json", name, i), content: fmt.Sprintf(`{"name":"p%d","version":"1.0.0"}`, i)})
		}
		return makeTar(t, files...)
	}
	store, err := blob.Open(blob.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	in := newInspector(t, Config{Store: store, Limits: Limits{Findings: 50_000}})
	limits := func(layers ...[]byte) (gaps, packages int) {
		for range 2 { // and once more, when the layers are remembered
			e := inspect(t, in, makeImage(t, layers...))
			gaps, packages = 0, len(e.Packages)
			for _, g := range e.Gaps {
				if g.Kind == touchstone.GapLimit {
					gaps++
				}
			}
		}
		return gaps, packages
	}
	if gaps, packages := limits(layerOf("a", 30)); gaps != 0 || packages != 30 {
		t.Errorf("30 packages: %d gaps, %d packages", gaps, packages)
	}
	if gaps, packages := limits(layerOf("a", 100)); gaps == 0 || packages == 100 {
		t.Errorf("100 packages in a layer: %d gaps, %d packages", gaps, packages)
	}
	if gaps, packages := limits(layerOf("a", 30), layerOf("b", 30), layerOf("c", 30)); gaps == 0 || packages == 90 {
		t.Errorf("90 packages in three layers: %d gaps, %d packages", gaps, packages)
	}
}
