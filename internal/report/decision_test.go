package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func TestADecisionReadsAsACheckDoes(t *testing.T) {
	d := &touchstone.Decision{
		Verdict: touchstone.Refused, Place: touchstone.Place{Environment: "prod", Namespace: "shop"},
		Reasons: []touchstone.Reason{
			{Rule: "cvss", Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse, Seen: "CVE-2026-1001 in openssl\x1b[2J", Allowed: "at most 3", Fix: "upgrade it", Owner: "security"},
			{Rule: "gaps", Outcome: touchstone.Pass, Effect: touchstone.EffectNone, Seen: "nothing"},
			{Rule: "setuid", Outcome: touchstone.Fail, Effect: touchstone.EffectWarn, Seen: "/bin/su"},
		},
	}
	var out strings.Builder
	err := WriteDecision(&out, "shop/cart:1.4", d, []Fact{{"decision", "01"}, {"digest", ""}}, Options{Width: 80, TimeZone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	want := `✗ REFUSED    for prod (namespace shop): shop/cart:1.4

  decision     01

Refused by 1 rule
  ✗ cvss                CVE-2026-1001 in openssl\x1b[2J
                        allowed: at most 3
                        fix: upgrade it
                        owner: security

Warned of by 1 rule
  ! setuid              /bin/su

Passed: 1 rule.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestADecisionAboutAnActSaysWhatIsDone(t *testing.T) {
	d := &touchstone.Decision{
		Verdict: touchstone.Refused, Place: touchstone.Place{Environment: "prod"}, Action: touchstone.EffectKill,
		Reasons: []touchstone.Reason{{Rule: "run-unknown", Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse, Seen: "runs tmp/x\u202e", Allowed: "kill"}},
	}
	var out strings.Builder
	if err := WriteDecision(&out, "shop/cart:1.4", d, nil, Options{Width: 80, TimeZone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	want := `✗ REFUSED    for prod: shop/cart:1.4

  action       kill

Refused by 1 rule
  ✗ run-unknown         runs tmp/x\u202e
                        allowed: kill
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
