package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
	_ "time/tzdata" // the zone below is there on every machine

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/storetest"
)

// tables are rules that between them ask of everything that a case holds.
func tables() []string {
	conditions := `
  named:      {when: "artifact.name.startsWith('registry.example/shop/')", others: warn, prod: refuse}
  libraries:  {when: "evidence.packages.exists(p, p.name == 'p1') && matches.size() > 2", others: warn, prod: refuse}
  by-place:   {when: "place.namespace == 'shop' && occasion == 'admit'", others: refuse}
  user-known: {when: "user == '1000'", others: warn}
`
	return []string{string(rules.Example()), `version: 1
environments: [dev, prod]
rules:
  cvss: {dev: at most 8, prod: at most 3}
  unfixable: {dev: warn, prod: refuse after 20d}
  epss: {others: at most 0.2}
  gaps: {others: warn, prod: refuse}
  no-golden-base: {dev: warn, prod: refuse, from: 2026-12-01}
  image-age: {dev: at most 30d, prod: at most 10d}
  runs-as-root: {others: refuse}
  privileged: {dev: warn, prod: refuse}
  own-command: {others: refuse}
  promoted: {dev: allow, prod: refuse}
  soak: {dev: any, prod: at least 24h}
  approvals: {dev: any, prod: 2 of release}
  improves: {dev: allow, prod: approve}
  restart: {others: allow}
  mend-within: {others: at most 14d}
  login: {dev: alert, prod: block}
` + conditions}
}

var moment0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func day(t *rapid.T, label string) time.Time {
	return moment0.Add(time.Duration(rapid.IntRange(-40*24, 40*24).Draw(t, label)) * time.Hour)
}

func word(t *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }

// anyCase draws a case with something of everything.
func anyCase(t *rapid.T, environments []string) *touchstone.Case {
	chance := func(label string) bool { return rapid.Bool().Draw(t, label) }
	c := &touchstone.Case{
		Artifact: touchstone.Artifact{Name: word(t, "name", "registry.example/shop/cart:1", "registry.example/x:1"), Kind: touchstone.KindImage, Digest: touchstone.DigestOf([]byte("image")), Platform: "linux/amd64"},
		Waivers:  rapid.SliceOfN(rapid.Custom(anyWaiver), 0, 4).Draw(t, "waivers"), WaiversDigest: touchstone.DigestOf([]byte("waivers")), Now: day(t, "now"),
		Question: anyQuestion(t, environments), History: anyHistory(t, environments),
	}
	switch word(t, "what", "inspected", "inspected", "inspected", "inspected", "unseen", "problem", "problem", "problem", "false") {
	case "unseen":
	case "problem":
		c.Problem = "the registry is down\nhint: wait"
	case "false":
		c.False = "the layers are not those of the config"
	default:
		c.Evidence = &touchstone.Evidence{
			Schema: touchstone.SchemaEvidence, Kind: touchstone.KindImage, Platform: "linux/amd64", Created: day(t, "created"),
			Layers: []touchstone.Layer{{DiffID: "sha256:1"}}, Packages: []touchstone.Package{{Name: word(t, "package", "p1", "p2"), Version: "1"}},
			Configuration: touchstone.Configuration{User: word(t, "user", "", "0", "1000", "app")}, Gaps: []touchstone.Gap{},
		}
		if chance("gap") {
			c.Evidence.Gaps = append(c.Evidence.Gaps, touchstone.Gap{Kind: touchstone.GapCorrupt, Path: "a.jar", Reason: "cut short"})
		}
		c.Knowledge = touchstone.Knowledge{
			Matches: rapid.SliceOfN(rapid.Custom(anyMatch), 0, 5).Draw(t, "matches"), Upgrades: []touchstone.Upgrade{},
			Index:    touchstone.IndexState{Revision: "sha256:2", KEV: day(t, "kev"), EPSS: day(t, "epss")},
			Coverage: []touchstone.Coverage{{Ecosystem: "Debian:12", Packages: 1, Covered: chance("covered"), Confirmed: day(t, "confirmed"), EndOfLife: chance("ended")}},
			Lineage:  touchstone.Lineage{Known: chance("known")},
		}
		if chance("no index") {
			c.Knowledge.Index = touchstone.IndexState{Problem: "gone", Remedy: "touchstone db update"}
		}
		if chance("base") {
			c.Knowledge.Lineage.Base = &touchstone.Base{Name: "base", Chain: []touchstone.Digest{"sha256:1"}, Expires: day(t, "expires")}
		}
	}
	return c
}

func anyQuestion(t *rapid.T, environments []string) touchstone.Question {
	q := touchstone.Question{
		Occasion: touchstone.Occasion(word(t, "occasion", "check", "check", "promote", "admit", "admit", "restart", "running", "running", "login", "change", "execute")),
		Place: touchstone.Place{
			Environment: word(t, "environment", environments...), Namespace: word(t, "namespace", "shop", "x"), Cluster: "pay-1",
			Class: touchstone.ClassApplication, Exposure: touchstone.ExposureOpen, Owner: "team-pay", Assumed: []string{},
		},
		Workload: touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"},
		Settings: touchstone.Settings{
			User: word(t, "runs as", "", "0", "1000"), NotRoot: rapid.Bool().Draw(t, "not root"), Privileged: rapid.Bool().Draw(t, "privileged"),
			Command: rapid.SliceOfN(rapid.SampledFrom([]string{"sh", "-c", "--password", "hunter2hunter", "TOKEN=abc123def456"}), 0, 3).Draw(t, "command"),
			Args:    rapid.SliceOfN(rapid.String(), 0, 2).Draw(t, "args"),
		},
	}
	if q.Occasion == touchstone.OccasionLogin {
		q.Login = &touchstone.Login{Kind: touchstone.LoginExec, By: "kim", Command: []string{"psql", "--password", "hunter2hunter"}, TTY: true}
	}
	file := &touchstone.File{Path: "etc/app.conf", Kind: touchstone.FileRegular, Mode: 0o644, SHA256: touchstone.DigestOf(nil)}
	switch q.Occasion {
	case touchstone.OccasionChange:
		q.Drift = &touchstone.Drift{Change: touchstone.Removed, Path: file.Path, Want: file, Managed: word(t, "managed", "", "puppet")}
	case touchstone.OccasionExecute:
		q.Started = day(t, "started")
		q.Execution = &touchstone.Execution{Kind: touchstone.ExecuteScript, Path: "tmp/x", Size: 12, Unjudged: word(t, "unjudged", "", "too large")}
	}
	return redacted(q)
}

func anyMatch(t *rapid.T) touchstone.Match {
	m := touchstone.Match{
		ID: fmt.Sprintf("CVE-2026-%d", rapid.IntRange(1, 4).Draw(t, "id")), Aliases: []string{"GHSA-1"}, Package: touchstone.PackageRef{Name: "p1", Version: "1", Ecosystem: "Debian:12"},
		Score: float64(rapid.IntRange(0, 100).Draw(t, "score")) / 10, Scored: rapid.Bool().Draw(t, "scored"), KnownExploited: rapid.Bool().Draw(t, "exploited"),
		EPSS: rapid.Float64Range(0, 1).Draw(t, "epss"), Published: day(t, "published"), Applies: rapid.Bool().Draw(t, "applies"), FixedVersions: []string{},
	}
	if rapid.Bool().Draw(t, "fixable") {
		m.FixedVersions = []string{"1.1"}
	}
	return m
}

func anyWaiver(t *rapid.T) touchstone.Waiver {
	return touchstone.Waiver{
		ID: "w", Rule: word(t, "rule", "cvss", "unfixable", "gaps", "image-age", "runs-as-root"), Advisory: word(t, "advisory", "", "CVE-2026-1", "GHSA-1"),
		WholeRule: rapid.Bool().Draw(t, "whole"), ScoreAbove: float64(rapid.IntRange(0, 9).Draw(t, "above")), Owner: "team-pay", Reason: "because", Until: day(t, "until"),
	}
}

func anyHistory(t *rapid.T, environments []string) touchstone.History {
	h := touchstone.History{Kept: rapid.Bool().Draw(t, "kept"), Asker: word(t, "asker", "", "kim", "alex")}
	if rapid.Bool().Draw(t, "promoted") {
		h.Promotions = []touchstone.Promotion{{ID: "1", Environment: word(t, "promoted to", environments...), By: "kim", At: day(t, "promoted at")}}
	}
	for range rapid.IntRange(0, 2).Draw(t, "approvals") {
		h.Approvals = append(h.Approvals, touchstone.Approval{By: word(t, "by", "kim", "alex", "robin"), Groups: []string{"release"}, At: day(t, "approved")})
	}
	if rapid.Bool().Draw(t, "let in") {
		h.LetIn = &touchstone.LetIn{Decision: "1", At: day(t, "let in at"), Taken: rapid.Bool().Draw(t, "taken")}
	}
	if rapid.Bool().Draw(t, "runs") {
		h.Runs = &touchstone.Runs{Digest: "sha256:3", Failing: []string{"cvss CVE-2026-1", "gaps a.jar"}}
	}
	if rapid.Bool().Draw(t, "finding") {
		h.Findings = []touchstone.Finding{{Rule: "cvss", Thing: "CVE-2026-1", Since: day(t, "since")}}
	}
	if rapid.Bool().Draw(t, "frozen") {
		h.Freezes = []touchstone.Freeze{{ID: "f", From: day(t, "from"), Reason: "holidays", Weekly: &touchstone.Weekly{Days: []time.Weekday{time.Friday}, Start: 960, End: 480, Zone: "Europe/Berlin"}}}
		if err := h.Freezes[0].Check(); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(t, "glass") {
		h.Glass = &touchstone.Glass{By: "kim", Reason: "it burns", Until: day(t, "glass until")}
	}
	return h
}

// memory is a door of which only what keeps and restores is there.
func memory(t testing.TB) *Door {
	t.Helper()
	store, err := blob.Open(blob.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	in, err := inspect.New(inspect.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewDoor(DoorConfig{Gate: New(Config{Inspector: in}), Store: storetest.Open(t)})
}

// decideAndKeep decides and keeps, as a door does.
func decideAndKeep(ctx context.Context, d *Door, c *touchstone.Case, book *Book) (string, touchstone.Decision, error) {
	if c.Evidence != nil {
		data, err := json.Marshal(c.Evidence)
		if err != nil {
			return "", touchstone.Decision{}, err
		}
		c.Evidence.ID = touchstone.DigestOf(data)
		if err := d.c.Gate.Inspector.Keep(c.Evidence); err != nil {
			return "", touchstone.Decision{}, err
		}
	}
	dec := touchstone.Decide(book.Rules, c)
	id := record.NewID(moment0)
	k, err := keep(id, "kim", c, book, &dec)
	if err != nil {
		return "", dec, err
	}
	_, err = d.c.Store.Commit(ctx, record.Change{ID: id, Kind: "decision", Actor: "kim", About: "x", Body: k.Body, Blobs: k.Blobs})
	return id, dec, err
}

func TestLawAKeptDecisionIsTakenAgainToTheLetter(t *testing.T) {
	d := memory(t)
	var books []*Book
	for _, source := range tables() {
		r, _, err := rules.Load("touchstone.yaml", []byte(source), moment0)
		if err != nil {
			t.Fatal(err)
		}
		books = append(books, &Book{Rules: r, Source: []byte(source)})
	}
	verdicts := map[touchstone.Verdict]int{}
	rapid.Check(t, func(rt *rapid.T) {
		book := rapid.SampledFrom(books).Draw(rt, "rules")
		c := anyCase(rt, book.Rules.Environments)
		id, dec, err := decideAndKeep(t.Context(), d, c, book)
		if err != nil {
			rt.Fatal(err)
		}
		again, r, then, missing, err := d.Restore(t.Context(), id)
		if err != nil || len(missing) > 0 {
			rt.Fatal(missing, err)
		}
		for what, got := range map[string]touchstone.Decision{"kept": then, "taken again": touchstone.Decide(r, again)} {
			if same, err := sameDocument(&dec, &got); err != nil || !same {
				rt.Fatalf("the decision as %s differs: %v\n%s", what, err, cmp.Diff(dec, got))
			}
		}
		replay, err := d.Replay(t.Context(), id)
		if err != nil || !replay.Same {
			rt.Fatalf("%v, %+v", err, replay)
		}
		verdicts[dec.Verdict]++
	})
	if len(verdicts) < 3 {
		t.Errorf("the cases came to %v alone", verdicts)
	}
}

// TestEveryPartOfACaseIsKept fails when a case gets a part that keep may not know.
func TestEveryPartOfACaseIsKept(t *testing.T) {
	parts := func(t reflect.Type) (out []string) {
		for i := range t.NumField() {
			out = append(out, t.Field(i).Name)
		}
		return out
	}
	kept := []string{"Artifact", "Evidence", "Problem", "False", "Knowledge", "Question", "History", "Waivers", "WaiversDigest", "Now"}
	if diff := cmp.Diff(kept, parts(reflect.TypeFor[touchstone.Case]())); diff != "" {
		t.Errorf("keep and restoreCase must know every part of a case (-kept +case)\n%s", diff)
	}
	known := []string{"Matches", "Upgrades", "Index", "Coverage", "Lineage"}
	if diff := cmp.Diff(known, parts(reflect.TypeFor[touchstone.Knowledge]())); diff != "" {
		t.Errorf("keep and restoreCase must know every part of the knowledge (-kept +knowledge)\n%s", diff)
	}
}
