package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// The checks that the golden files are made of. They are written by hand, so
// that a change of Decide's wording changes no golden file.

var (
	at  = time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC)
	now = at.Add(2 * time.Hour)
)

func digest(c string) touchstone.Digest { return touchstone.Digest("sha256:" + strings.Repeat(c, 64)) }

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// hostile is what a stranger may call a file, a package or anything else.
// escapes are the sequences that colour is made of.
var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

const hostile = "evil\x1b[2J\u202egnp\u202c\u200b|`$(x)`<b>@all</b>[a](javascript:1)\r\n::error::owned ##[add-path]/x % ]]>"

func opensslMatch(id, pkg string, score float64) touchstone.Match {
	return touchstone.Match{
		ID: id, Aliases: []string{"ALPINE-" + id}, Summary: "a flaw in " + pkg,
		Package: touchstone.PackageRef{
			Name: pkg, Version: "1.1.1k-r0", PURL: "pkg:apk/alpine/" + pkg + "@1.1.1k-r0?arch=x86_64",
			Ecosystem: "Alpine:v3.12", Path: "lib/apk/db/installed",
		},
		Score: score, Scored: true, ScoreSource: "CVE record (CISA-ADP), CVSS 3.1",
		Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity: "critical",
		Published: day(2021, 8, 24), Modified: day(2022, 1, 2),
		FixedVersions: []string{"1.1.1l-r0"}, Origin: touchstone.OriginBase, Applies: true,
		SSVC: touchstone.SSVC{Exploitation: "poc", Automatable: "yes", TechnicalImpact: "total", Source: "CISA-ADP"},
	}
}

func goMatch(id, pkg, version, fixed string) touchstone.Match {
	m := touchstone.Match{
		ID: id, Summary: "a flaw in " + pkg, Aliases: []string{"GHSA-xxxx-yyyy-zzzz"},
		Package: touchstone.PackageRef{
			Name: pkg, Version: version, PURL: "pkg:golang/" + pkg + "@" + version, Ecosystem: "Go", Path: "usr/bin/cart",
		},
		Severity: "unknown", Published: day(2026, 7, 1), Origin: touchstone.OriginApplication, Applies: true,
	}
	if fixed != "" {
		m.FixedVersions = []string{fixed}
	}
	return m
}

// refused is a check with everything in it that may go wrong.
func refused() *touchstone.Check {
	c := inspected()
	c.Decision = &touchstone.Decision{
		Verdict: touchstone.Refused, At: at, Until: day(2026, 12, 1), RulesVersion: digest("e"),
		Place: touchstone.Place{
			Environment: "prod", Cluster: "pay-1", Class: touchstone.ClassApplication, Sensitivity: "pci",
			Assumed: []string{"class application", "exposure unknown: any, for the order of what to fix first"},
		},
		Inputs: touchstone.Inputs{Evidence: digest("1"), Index: digest("2"), Rules: digest("e"), Waivers: digest("3")},
		Reasons: []touchstone.Reason{
			{
				Rule: "cvss", Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse,
				Seen: "2 vulnerabilities, among them CVE-2021-3711 in openssl 1.1.1k-r0, CVSS 9.8", Allowed: "below 3",
				Because: "what is exposed must hold", Fix: "upgrade openssl 1.1.1k-r0 to 1.1.1l-r0 (clears 2)",
				Owner: "security", Aligns: []string{"PCI DSS 6.3.3"}, Failing: []string{"CVE-2021-3711", "CVE-2021-3712"},
			},
			{
				Rule: "secrets", Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse,
				Seen: "2 secrets: root/.ssh/id_rsa (private-key), " + hostile + " (aws-access-key)", Allowed: "refuse",
				Fix:     "revoke it, then build without it",
				Failing: []string{"root/.ssh/id_rsa (private-key)", hostile + " (aws-access-key)"},
			},
			{
				Rule: "no-golden-base", Outcome: touchstone.Fail, Effect: touchstone.EffectApprove,
				Seen: "the approval of golden/alpine expired on 2026-11-01", Allowed: "approve",
			},
			{
				Rule: "gaps", Outcome: touchstone.Unknown, Effect: touchstone.EffectRefuse,
				Seen: "1 part that could not be read: " + hostile, Allowed: "refuse", Failing: []string{hostile},
			},
			{
				Rule: "known-exploited", Outcome: touchstone.Unknown, Effect: touchstone.EffectRefuse, Outside: true,
				Seen: "CISA's list of known exploited vulnerabilities is not in the index", Allowed: "refuse", Fix: "touchstone db update",
			},
			{
				Rule: "unscored", Outcome: touchstone.Fail, Effect: touchstone.EffectWarn,
				Seen: "GO-2026-0001 in example.org/x v1.0.0", Allowed: "warn", Failing: []string{"GO-2026-0001"},
			},
			{
				Rule: "unpinned", Outcome: touchstone.Fail, Effect: touchstone.EffectWarn,
				Seen: "2 unpinned dependencies: apk curl, " + hostile, Allowed: "refuse, from 2027-02-01",
				Fix: "touchstone pin Dockerfile --fix", Failing: []string{"apk curl", "pip " + hostile},
			},
			{
				Rule: "unfixable", Outcome: touchstone.Waived, Effect: touchstone.EffectNone,
				Seen: "1 vulnerability, waived", Allowed: "refuse after 30d",
				Waiver: &touchstone.WaiverUse{ID: "W-12", Until: day(2026, 12, 1), Owner: "team-cart"},
			},
			{Rule: "runs-as-root", Outcome: touchstone.Pass, Effect: touchstone.EffectNone, Seen: "runs as 1000", Allowed: "refuse"},
			{Rule: "setuid", Outcome: touchstone.NotApplicable, Effect: touchstone.EffectNone, Seen: "not asked in prod", Allowed: "allow"},
		},
	}
	c.Next = []touchstone.NextVerdict{{Environment: "vault", Verdict: touchstone.Refused, Rules: []string{"cvss", "secrets"}}}
	return c
}

// inspected is what was found, before anything is decided.
func inspected() *touchstone.Check {
	notHere := goMatch("GO-2026-0002", "example.org/y", "v1.2.0", "v1.2.1")
	notHere.Applies, notHere.Why = false, "the binary lacks example.org/y.Parse"
	waived := goMatch("CVE-2026-0003", "example.org/z", "v0.1.0", "")
	waived.Score, waived.Scored, waived.Severity, waived.ScoreSource = 7.5, true, "high", "GHSA, CVSS 4.0"
	waived.Vector = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
	strange := goMatch("CVE-2026-9999", hostile, hostile, hostile)
	strange.Summary, strange.Package.PURL, strange.Package.Path = hostile, "pkg:generic/"+hostile, "../../"+hostile
	strange.KnownExploited = true
	return &touchstone.Check{
		Schema: touchstone.SchemaCheck, Tool: "touchstone 1.0",
		Artifact: touchstone.Artifact{
			Name: "registry.example/shop/cart:1.4", Kind: touchstone.KindImage, Digest: digest("a"), Index: digest("b"), Platform: "linux/amd64",
		},
		Platforms: []touchstone.PlatformVerdict{
			{Platform: "linux/amd64", Digest: digest("a"), Verdict: touchstone.Refused},
			{Platform: "linux/arm64", Digest: digest("c"), Verdict: touchstone.Allowed},
		},
		Matches: []touchstone.Match{
			waived, notHere, strange,
			opensslMatch("CVE-2021-3712", "libssl1.1", 7.4), opensslMatch("CVE-2021-3711", "libssl1.1", 9.8),
			opensslMatch("CVE-2021-3711", "libcrypto1.1", 9.8),
			goMatch("GO-2026-0001", "example.org/x", "v1.0.0", "v1.0.1"),
		},
		Upgrades: []touchstone.Upgrade{
			{Package: "example.org/x", PURL: "pkg:golang/example.org/x@v1.0.0", Path: "usr/bin/cart", From: "v1.0.0", To: "v1.0.1", Clears: []string{"GO-2026-0001"}, Origin: touchstone.OriginApplication},
			{Package: "openssl", PURL: "pkg:apk/alpine/openssl@1.1.1k-r0", Path: "lib/apk/db/installed", From: "1.1.1k-r0", To: "1.1.1l-r0", Clears: []string{"CVE-2021-3711", "CVE-2021-3712"}, Origin: touchstone.OriginBase},
		},
		Packages: []touchstone.Package{
			{Name: "example.org/x", Version: "v1.0.0", PURL: "pkg:golang/example.org/x@v1.0.0", Ecosystem: "Go", Path: "usr/bin/cart", Layer: 1},
			{Name: "example.org/y", Version: "v1.2.0", PURL: "pkg:golang/example.org/y@v1.2.0", Ecosystem: "Go", Path: "usr/bin/cart", Layer: 1},
			{Name: "libssl1.1", Version: "1.1.1k-r0", PURL: "pkg:apk/alpine/libssl1.1@1.1.1k-r0?arch=x86_64", Ecosystem: "Alpine:v3.12", Source: "openssl", Path: "lib/apk/db/installed", Licences: []string{"OpenSSL"}},
			{Name: "libcrypto1.1", Version: "1.1.1k-r0", PURL: "pkg:apk/alpine/libcrypto1.1@1.1.1k-r0?arch=x86_64", Ecosystem: "Alpine:v3.12", Source: "openssl", Path: "lib/apk/db/installed", Licences: []string{"MIT AND (GPL-2.0-only OR BSD-3-Clause)"}},
			{Name: hostile, Version: hostile, PURL: "pkg:generic/" + hostile, Path: "../../" + hostile, Layer: 7, Licences: []string{"The " + hostile + " Licence", "MIT"}},
		},
		Gaps:    []touchstone.Gap{{Kind: touchstone.GapCorrupt, Path: hostile, Layer: 1, Reader: "tar", Reason: "truncated after " + hostile}},
		Secrets: []touchstone.Secret{{Kind: "private-key", Path: "root/.ssh/id_rsa", Line: 1, Layer: 0, Fingerprint: "0123456789abcdef", Buried: true}, {Kind: "aws-access-key", Path: hostile, Layer: 1, Fingerprint: "fedcba9876543210"}},
		Pins: []touchstone.Pin{
			{Where: "Dockerfile:12", Tool: "apk", What: "curl", Why: "another version tomorrow", Fix: "apk add curl=8.5.0-r0"},
			{Where: "history 4", Tool: "pip", What: hostile, Why: "another version tomorrow"},
		},
		Surface: touchstone.Surface{
			Shells: []string{"bin/busybox"}, PackageManagers: []string{"sbin/apk"}, Setuid: []string{hostile}, Size: 3,
			Needed: []string{"lib/libc.so"}, EntrypointKnown: true,
		},
		Configuration: touchstone.Configuration{User: "1000", Entrypoint: []string{"/usr/bin/cart", "--config", hostile}, Ports: []string{"8080/tcp"}, Environment: []string{"PATH=/usr/bin"}, Labels: map[string]string{"team": hostile}},
		OS:            touchstone.OS{ID: "alpine", Version: "3.12.12", Name: "Alpine Linux v3.12", Path: "etc/os-release"},
		Layers:        []touchstone.Layer{{Digest: digest("4"), DiffID: digest("5"), Size: 2800000}, {Digest: digest("6"), DiffID: digest("7"), Size: 12000000, CreatedBy: "COPY " + hostile}},
		Manifest:      touchstone.ManifestSummary{Blob: digest("8"), Files: 512, Executables: 31, Bytes: 44000000},
		Lineage: touchstone.Lineage{
			Known: true, Layers: 1, Newer: "golden/alpine:3.20",
			Base: &touchstone.Base{Name: "golden/alpine:3.12", Digest: digest("9"), Chain: []touchstone.Digest{digest("5")}, Owner: "team-base", Added: day(2020, 7, 1), Expires: day(2026, 11, 1)},
		},
		Index: touchstone.IndexState{Revision: digest("2"), Built: at.Add(-18 * time.Hour), EPSS: at.Add(-18 * time.Hour)},
		Coverage: []touchstone.Coverage{
			{Ecosystem: "Alpine:v3.12", Packages: 2, Covered: true, Confirmed: at.Add(-18 * time.Hour), EndOfLife: true},
			{Ecosystem: "Go", Packages: 2, Covered: true, Confirmed: at.Add(-6 * time.Hour)},
			{Ecosystem: "", Packages: 1, Why: "no advisories exist", Remedy: "waive it"},
		},
	}
}

// allowed is a small image with nothing against it.
func allowed() *touchstone.Check {
	adrift := goMatch("GO-2026-0001", "example.org/x", "v1.0.0", "v1.0.1")
	adrift.Origin = touchstone.OriginUnknown
	return &touchstone.Check{
		Schema: touchstone.SchemaCheck, Tool: "touchstone 1.0",
		Artifact: touchstone.Artifact{Source: "cart.tar", Kind: touchstone.KindImage, Digest: digest("a"), Platform: "linux/arm64"},
		Decision: &touchstone.Decision{
			Verdict: touchstone.Allowed, At: at, RulesVersion: digest("e"),
			Place: touchstone.Place{Environment: "dev", Class: touchstone.ClassApplication, Exposure: touchstone.ExposureOpen},
			Reasons: []touchstone.Reason{
				{Rule: "cvss", Outcome: touchstone.Pass, Effect: touchstone.EffectNone, Seen: "none of 1 vulnerability", Allowed: "at most 8"},
			},
		},
		Matches:  []touchstone.Match{adrift},
		Packages: []touchstone.Package{{Name: "example.org/x", Version: "v1.0.0", PURL: "pkg:golang/example.org/x@v1.0.0", Ecosystem: "Go", Path: "cart"}},
		Layers:   []touchstone.Layer{{DiffID: digest("5"), Size: 12000000}},
		Lineage:  touchstone.Lineage{Known: true},
		Index:    touchstone.IndexState{Revision: digest("2")},
		Coverage: []touchstone.Coverage{{Ecosystem: "Go", Packages: 1, Covered: true, Confirmed: at.Add(-6 * time.Hour)}},
	}
}

// unread is a check of what could not be inspected.
func unread() *touchstone.Check {
	return &touchstone.Check{
		Schema: touchstone.SchemaCheck, Tool: "touchstone 1.0",
		Artifact: touchstone.Artifact{Name: "registry.example/shop/cart:1.4", Kind: touchstone.KindImage},
		Decision: &touchstone.Decision{
			Verdict: touchstone.Undecided, At: at, RulesVersion: digest("e"), Place: touchstone.Place{Environment: "prod"},
			Reasons: []touchstone.Reason{{
				Rule: "inspect", Outcome: touchstone.Unknown, Effect: touchstone.EffectRefuse, Outside: true,
				Seen: "registry.example does not answer", Allowed: "an artifact that can be read",
			}},
		},
		Index: touchstone.IndexState{Problem: "there is no advisory index", Remedy: "touchstone db update"},
	}
}

// road is a check of every environment.
func road() *touchstone.Check {
	c := inspected()
	strict := refused().Decision
	for i, env := range []string{"dev", "test", "stage"} {
		d := touchstone.Decision{
			Verdict: touchstone.Allowed, At: at, RulesVersion: digest("e"),
			Place: touchstone.Place{Environment: env, Class: touchstone.ClassApplication, Assumed: strict.Place.Assumed},
		}
		for _, r := range strict.Reasons {
			switch {
			case i == 0:
				r.Outcome, r.Effect, r.Failing, r.Fix = touchstone.NotApplicable, touchstone.EffectNone, nil, ""
				r.Seen, r.Allowed = "not asked in dev", "allow"
			case i == 1 && stand(&r) <= stalling:
				r.Effect = touchstone.EffectWarn
			case i == 2 && stand(&r) == refusing && r.Rule != "gaps":
				r.Effect = touchstone.EffectWarn
			case i == 2 && r.Rule == "gaps":
				r.Outcome, r.Effect = touchstone.Pass, touchstone.EffectNone
			}
			d.Reasons = append(d.Reasons, r)
		}
		if i == 2 {
			d.Verdict = touchstone.Undecided
		}
		c.Road = append(c.Road, d)
	}
	c.Road = append(c.Road, *strict)
	return c
}

// crowded is a check of many packages and vulnerabilities.
func crowded(packages, matches int) *touchstone.Check {
	c := refused()
	c.Packages, c.Matches, c.Upgrades = nil, nil, nil
	c.Decision.Reasons[0].Failing = nil
	for i := range packages {
		name := fmt.Sprintf("example.org/p%d", i)
		c.Packages = append(c.Packages, touchstone.Package{Name: name, Version: "v1.0.0", PURL: "pkg:golang/" + name + "@v1.0.0", Ecosystem: "Go", Path: "usr/bin/cart", Layer: 1})
	}
	for i := range matches {
		p := c.Packages[i%packages]
		m := goMatch(fmt.Sprintf("CVE-2026-%05d", i), p.Name, p.Version, "v1.0.1")
		m.Score, m.Scored, m.Severity = float64(i%100)/10, true, "high"
		c.Matches = append(c.Matches, m)
		c.Decision.Reasons[0].Failing = append(c.Decision.Reasons[0].Failing, m.ID)
	}
	for i := range packages {
		u := touchstone.Upgrade{Package: c.Packages[i].Name, Path: "usr/bin/cart", From: "v1.0.0", To: "v1.0.1", Origin: touchstone.OriginApplication}
		for j := i; j < matches; j += packages {
			u.Clears = append(u.Clears, c.Matches[j].ID)
		}
		c.Upgrades = append(c.Upgrades, u)
	}
	return c
}
