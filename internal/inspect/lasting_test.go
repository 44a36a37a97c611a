package inspect_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/inspect"
)

func TestKeptEvidenceOutlivesPruning(t *testing.T) {
	dir := t.TempDir()
	open := func() (*blob.Store, *inspect.Inspector) {
		store, err := blob.Open(blob.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		in, err := inspect.New(inspect.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return store, in
	}
	store, in := open()
	e := &touchstone.Evidence{Schema: touchstone.SchemaEvidence, ID: "sha256:1", Packages: []touchstone.Package{{Name: "openssl", Version: "3"}}, Gaps: []touchstone.Gap{}}
	if err := in.Keep(e); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Prune(0); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_, in = open()
	got, err := in.Evidence(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("kept evidence (-want +got)\n%s", diff)
	}
	if err := in.Forget(e.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Evidence(e.ID); !errors.Is(err, blob.ErrAbsent) {
		t.Errorf("forgotten evidence: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
}
