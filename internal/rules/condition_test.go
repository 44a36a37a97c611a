package rules

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// compile returns the condition, or fails the test.
func compile(t testing.TB, text string) touchstone.Condition {
	t.Helper()
	r, _, err := Load("rules.yaml", fmt.Appendf(nil, "version: 1\nenvironments: [prod]\nrules:\n  own:\n    prod: refuse\n    when: |\n      %s\n", text), today())
	if err != nil {
		t.Fatal(err)
	}
	return r.Row("own").When
}

func today() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC) }

// shop is a case with one of everything that a condition may look at.
func shop() *touchstone.Case {
	return &touchstone.Case{
		Artifact: touchstone.Artifact{Name: "registry.example/shop/cart:1.4", Kind: touchstone.KindImage, Digest: touchstone.Digest("sha256:" + strings.Repeat("a", 64)), Platform: "linux/arm64"},
		Evidence: &touchstone.Evidence{
			Created: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
			OS:      touchstone.OS{ID: "debian", Version: "12"},
			Layers:  []touchstone.Layer{{Size: 5 << 20}, {Size: 1}},
			Packages: []touchstone.Package{
				{Name: "openssl", Version: "3.0.1", Ecosystem: "Debian:12", Licences: []string{"Apache-2.0"}, Layer: 1},
				{Name: "left-pad", Version: "1.0.0", Ecosystem: "npm"},
			},
			Configuration: touchstone.Configuration{User: "app", Labels: map[string]string{"team": "cart"}, Environment: []string{"PATH=/bin"}},
			Surface:       touchstone.Surface{Shells: []string{"bin/sh"}, Size: 1},
			Secrets:       []touchstone.Secret{{Kind: "private-key", Path: "root/.ssh/id_rsa", Line: 3}},
			Gaps:          []touchstone.Gap{{Kind: touchstone.GapCorrupt, Reason: "damaged"}},
		},
		Knowledge: touchstone.Knowledge{
			Matches: []touchstone.Match{
				{ID: "CVE-2026-1", Score: 9.8, Scored: true, Applies: true, FixedVersions: []string{"3.0.2"}, Origin: touchstone.OriginBase, SSVC: touchstone.SSVC{Exploitation: "active"}},
				{ID: "CVE-2026-2", Score: 5, Scored: true},
			},
			Coverage: []touchstone.Coverage{{Ecosystem: "npm", Packages: 1, Covered: true, Confirmed: today()}},
			Lineage:  touchstone.Lineage{Known: true, Base: &touchstone.Base{Name: "debian", Owner: "platform"}},
		},
		Question: touchstone.Question{Occasion: touchstone.OccasionCheck, Place: touchstone.Place{Environment: "prod", Class: touchstone.ClassApplication, Exposure: touchstone.ExposureOpen}},
		Now:      today(),
	}
}

func TestCondition(t *testing.T) {
	for text, want := range map[string]bool{
		`artifact.name.startsWith("registry.example/")`:                                      true,
		`artifact.kind == "image" && artifact.platform != "linux/amd64"`:                     true,
		`artifact.digest.startsWith("sha256:")`:                                              true,
		`artifact.index == ""`:                                                               true,
		`evidence.surface.shells.size() > 0`:                                                 true,
		`evidence.surface.packageManagers.size() > 0`:                                        false, // a nil list is an empty one
		`evidence.surface.packageManagers.exists(p, p == "x")`:                               false,
		`evidence.surface.size >= 1`:                                                         true,
		`evidence.surface.size > 0.5`:                                                        true,
		`evidence.created < timestamp("2026-02-01T00:00:00Z")`:                               true,
		`has(evidence.created)`:                                                              true,
		`evidence.layers.map(l, l.size).exists(s, s > 1048576)`:                              true,
		`evidence.packages.exists(p, p.name == "left-pad")`:                                  true,
		`evidence.packages.exists(p, p.licences.exists(l, l.matches("^(A?GPL|SSPL)")))`:      false,
		`sets.intersects(evidence.packages.map(p, p.name), ["openssl", "log4j-core"])`:       true,
		`evidence.packages.filter(p, p.ecosystem.startsWith("Debian")).size() == 1`:          true,
		`"team" in evidence.configuration.labels`:                                            true,
		`evidence.configuration.labels[?"owner"].orValue("nobody") == "nobody"`:              true,
		`evidence.configuration.labels.team == "cart"`:                                       true,
		`evidence.configuration.volumes.size() == 0`:                                         true,
		`evidence.gaps.exists(g, g.kind == "corrupt")`:                                       true,
		`evidence.secrets[0].line == 3`:                                                      true,
		`matches.exists(m, m.applies && m.score >= 9)`:                                       true,
		`matches.filter(m, m.applies && m.score >= 9.5 && m.fixedVersions.size() > 0) == []`: false,
		`matches.exists(m, m.origin == "base" && m.ssvc.exploitation == "active")`:           true,
		`coverage.all(c, c.covered)`:                                                         true,
		`coverage[0].confirmed == timestamp("2026-11-23T10:00:00Z")`:                         true,
		`has(lineage.base) && lineage.base.owner == "platform"`:                              true,
		`place.environment == "prod" && place.exposure == "open" && place.class != "system"`: true,
		`place.sensitivity == ""`:                                                            true,
		`occasion == "check" && user == "app"`:                                               true,
		`upgrades.size() > 0`:                                                                false,
		`artifact.name.split("/")[0] == "registry.example"`:                                  true,
		`regex.extract(artifact.name, ":([0-9.]+)$").orValue("") == "1.4"`:                   true,
		`has(index.kev)`: false,
		"matches.exists(m, m.score > 9)\n        // a comment\n        && evidence.os.id == \"debian\"": true,
	} {
		got, err := compile(t, text).Holds(shop())
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
}

// Whatever cannot be evaluated is an error, which Decide makes unknown.
func TestConditionError(t *testing.T) {
	for text, want := range map[string]string{
		`evidence.configuration.labels["nothing"] == "x"`: "no such key",
		`evidence.secrets[7].kind == "x"`:                 "index out of bounds",
		`lineage.base.chain[0] == "x"`:                    "index out of bounds",
		`1 / evidence.manifest.files > 0`:                 "division by zero",
		`dyn(evidence).nothing == 1`:                      "no such",
		`evidence.packages.all(a, lists.range(10000).all(b, lists.range(10000).all(c, c != -1)))`:   "more work than a condition may",
		`lists.range(9000).map(x, "aaaaaaaaaaaaaaaaaaaa").join("").matches("(a*)*b") && user == ""`: "",
	} {
		holds, err := compile(t, text).Holds(shop())
		if holds || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want an error with %q", text, holds, err, want)
		}
	}
	if _, err := compile(t, "true").Holds(&touchstone.Case{}); err == nil {
		t.Error("a condition of an artifact that was never inspected is no error")
	}
}

// Of what is not there every field is empty, as CEL has it for any message, and
// has() tells the difference.
func TestConditionWithoutBase(t *testing.T) {
	c := shop()
	c.Knowledge.Lineage.Base = nil
	if got, err := compile(t, `has(lineage.base)`).Holds(c); got || err != nil {
		t.Errorf("has(lineage.base) is %v, %v", got, err)
	}
	if got, err := compile(t, `lineage.base.owner == "" && lineage.base.chain.size() == 0`).Holds(c); !got || err != nil {
		t.Errorf("the owner of no base is something: %v, %v", got, err)
	}
	c.Evidence.Created = time.Time{}
	if got, err := compile(t, `has(evidence.created)`).Holds(c); got || err != nil {
		t.Errorf("has(evidence.created) is %v, %v", got, err)
	}
}

func TestConditionFailsThroughDecide(t *testing.T) {
	r, _, err := Load("rules.yaml", []byte("version: 1\nenvironments: [prod]\nrules:\n  own: {prod: refuse, when: 'evidence.secrets[9].line > 1'}\n"), today())
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range touchstone.Decide(r, shop()).Reasons {
		if why.Rule == "own" && why.Outcome != touchstone.Unknown {
			t.Errorf("an error in a condition is %s", why.Outcome)
		}
	}
}

func TestConditionByMany(t *testing.T) {
	cond := compile(t, `matches.exists(m, m.score > 9) && evidence.packages.exists(p, p.name == "openssl")`)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 50 {
				if holds, err := cond.Holds(shop()); !holds || err != nil {
					t.Error(holds, err)
				}
			}
		})
	}
	wait.Wait()
}

// big is a case of a thousand packages and two hundred matches.
func big() *touchstone.Case {
	c := shop()
	for i := range 1000 {
		c.Evidence.Packages = append(c.Evidence.Packages, touchstone.Package{Name: fmt.Sprint("package-", i), Version: "1.0", Ecosystem: "npm", Licences: []string{"MIT"}})
	}
	for i := range 200 {
		c.Knowledge.Matches = append(c.Knowledge.Matches, touchstone.Match{ID: fmt.Sprint("CVE-2026-", i), Score: 5, Scored: true, Applies: true})
	}
	return c
}

func BenchmarkCondition(b *testing.B) {
	for name, text := range map[string]string{
		"scalar":            `evidence.surface.packageManagers.size() > 0`,
		"thousand packages": `evidence.packages.exists(p, p.name == "log4j-core" && p.version.startsWith("2.14"))`,
		"matches":           `matches.filter(m, m.applies && m.score >= 9.0).size() > 10`,
	} {
		b.Run(name, func(b *testing.B) {
			cond, c := compile(b, text), big()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cond.Holds(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConditionLimit shows how long a condition runs into its limit.
func BenchmarkConditionLimit(b *testing.B) {
	cond, c := compile(b, `evidence.packages.all(a, evidence.packages.all(b, evidence.packages.all(c, c.name != "x")))`), big()
	for b.Loop() {
		if _, err := cond.Holds(c); err == nil {
			b.Fatal("there is no limit")
		}
	}
}
