package gate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
)

const shortTable = `version: 1
environments: [dev, prod]
rules:
  gaps: {dev: warn, prod: refuse}
  runs-as-root: {dev: allow, prod: refuse}
  unscored: {others: allow}
  no-advisories: {others: allow}
  stale-advisories: {others: any}
  unseen: {others: refuse}
`

func shortBook(t *testing.T) *Book {
	t.Helper()
	r, _, err := rules.Load("touchstone.yaml", []byte(shortTable), moment0)
	if err != nil {
		t.Fatal(err)
	}
	return &Book{Rules: r, Source: []byte(shortTable)}
}

func shortCase(book *Book) *touchstone.Case {
	return &touchstone.Case{
		Artifact: touchstone.Artifact{Name: "registry.example/shop/cart:1", Kind: touchstone.KindImage, Digest: touchstone.DigestOf([]byte("image"))},
		Evidence: &touchstone.Evidence{
			Schema: touchstone.SchemaEvidence, Kind: touchstone.KindImage, Configuration: touchstone.Configuration{User: "0"},
			Gaps: []touchstone.Gap{{Kind: touchstone.GapCorrupt, Path: "a.jar"}},
		},
		Question: touchstone.Question{Occasion: touchstone.OccasionAdmit, Place: book.Rules.PlaceIn("prod")},
		Waivers:  []touchstone.Waiver{{ID: "w", Rule: "gaps", Package: "a.jar", Owner: "kim", Reason: "known", Until: moment0.Add(time.Hour)}},
		Now:      moment0,
	}
}

func TestReplaySaysWhatDiffers(t *testing.T) {
	d, book := memory(t), shortBook(t)
	c := shortCase(book)
	id, _, err := decideAndKeep(t.Context(), d, c, book)
	if err != nil {
		t.Fatal(err)
	}
	// A decision of which somebody says something else than it was.
	k, err := d.Decision(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	k.ID = record.NewID(moment0.Add(time.Second))
	k.Decision.Verdict = touchstone.Allowed
	root := reason(&k.Decision, "runs-as-root")
	root.Outcome, root.Effect, root.Seen = touchstone.Pass, touchstone.EffectNone, "runs as 1000"
	body, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.c.Store.Commit(t.Context(), record.Change{ID: k.ID, Kind: "decision", Body: body}); err != nil {
		t.Fatal(err)
	}
	got, err := d.Replay(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`the verdict was "allowed", and is "refused"`,
		`the outcome of runs-as-root was "pass", and is "fail"`,
		`the effect of runs-as-root was "none", and is "refuse"`,
		`what runs-as-root saw was "runs as 1000", and is "runs as 0"`,
	}
	if diff := cmp.Diff(want, got.Differs); diff != "" || got.Same || got.Again == nil || got.Again.Verdict != touchstone.Refused {
		t.Errorf("replayed: same %v, differs (-want +got)\n%s", got.Same, diff)
	}
}

func TestReplaySaysWhatIsMissing(t *testing.T) {
	d, book := memory(t), shortBook(t)
	c := shortCase(book)
	id, dec, err := decideAndKeep(t.Context(), d, c, book)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.c.Gate.Inspector.Forget(c.Evidence.ID); err != nil {
		t.Fatal(err)
	}
	got, err := d.Replay(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"evidence"}, got.Missing); diff != "" || got.Same || got.Again != nil || got.Then.Verdict != dec.Verdict {
		t.Errorf("replayed without evidence: %+v\n%s", got, diff)
	}
	for _, unknown := range []string{"", "01ARZ3NDEKTSV4RRFFQ69G5FAV", strings.Repeat("Z", 26)} {
		if _, err := d.Replay(t.Context(), unknown); err == nil {
			t.Errorf("a decision %q was replayed", unknown)
		}
	}
}

func TestADecisionOnWordsThatAreNotRedactedIsNotKept(t *testing.T) {
	book := shortBook(t)
	c := shortCase(book)
	c.Question.Command = []string{"serve", "--password", "hunter2hunter"}
	dec := touchstone.Decide(book.Rules, c)
	if _, err := keep(record.NewID(moment0), "kim", c, book, &dec); err == nil {
		t.Error("it was kept")
	}
}

// TestAnOldKeptDecisionIsStillRead reads a body as the first version wrote it.
func TestAnOldKeptDecisionIsStillRead(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("testdata", "kept-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := memory(t)
	var named struct{ ID string }
	if err := json.Unmarshal(body, &named); err != nil {
		t.Fatal(err)
	}
	if _, err := d.c.Store.Commit(t.Context(), record.Change{ID: named.ID, Kind: "decision", Body: body}); err != nil {
		t.Fatal(err)
	}
	c, _, then, missing, err := d.Restore(t.Context(), named.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"evidence", "advisories", "waivers", "history", "rules"}, missing); diff != "" {
		t.Errorf("missing (-want +got)\n%s", diff)
	}
	if then.Verdict != touchstone.Refused || c.Question.Place.Environment != "prod" || c.Question.Args[0] != "serve" || len(then.Reasons) != 6 || !c.Now.Equal(moment0) {
		t.Errorf("read as %+v", then)
	}
}
