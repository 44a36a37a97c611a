package gate

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

func TestHoldsTakesHostileNamesAndNothingFalse(t *testing.T) {
	long := string(slices.Repeat([]byte("x"), 1<<17))
	e := &touchstone.Evidence{ID: touchstone.DigestOf([]byte("e")), Packages: []touchstone.Package{
		{Name: "libssl3", Source: "openssl", Ecosystem: "Debian:12"}, {Name: "zero\x00byte", Ecosystem: "npm"},
		{Name: "not\xffutf-8", Ecosystem: "npm"}, {Name: long, Ecosystem: "npm"}, {Name: "", Ecosystem: "Go"}, {Name: "plain", Ecosystem: ""},
	}}
	f := holds("registry.example/x@sha256:1", e)
	if diff := cmp.Diff([]string{"Debian:", "Debian:openssl", "Go:", "npm:"}, f.Tags); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	d := memory(t)
	if _, err := d.c.Store.Commit(t.Context(), record.Change{Kind: "scan", Body: []byte("{}"), Facts: []record.Fact{f}}); err != nil {
		t.Fatal(err)
	}
}

func TestHoldingNamesAnIndexAndItsImages(t *testing.T) {
	d := memory(t)
	e := &touchstone.Evidence{ID: touchstone.DigestOf([]byte("e")), Packages: []touchstone.Package{{Name: "openssl", Ecosystem: "Debian:12"}}}
	whole, image := touchstone.DigestOf([]byte("index")), touchstone.DigestOf([]byte("image"))
	seen, err := record.Put(factSeen, artifactKey("registry.example/x", whole), Seen{
		Repository: "registry.example/x", Digest: whole, Platforms: []SeenPlatform{{Digest: image, Evidence: e.ID}}, For: d.c.Platforms,
	})
	if err != nil {
		t.Fatal(err)
	}
	change := record.Change{Kind: "scan", Body: []byte("{}"), Facts: []record.Fact{seen, holds(seen.Key, e)}}
	if _, err := d.c.Store.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{artifactKey("registry.example/x", whole): true, artifactKey("registry.example/x", image): true}
	many := map[string]bool{"Debian:openssl": true}
	for i := range manyKeys {
		many["npm:"+string(touchstone.DigestOf([]byte{byte(i), byte(i >> 8)}))] = true
	}
	for name, keys := range map[string]map[string]bool{"one": {"Debian:openssl": true}, "many": many} {
		got, err := d.holding(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if got, err := d.holding(t.Context(), map[string]bool{"Debian:zlib": true}); err != nil || len(got) > 0 {
		t.Errorf("of another package: %v, %v", got, err)
	}
}
