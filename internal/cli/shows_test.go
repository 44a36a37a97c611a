package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/release"
)

// stranger is what somebody may call himself.
const stranger = "red\x1b[31m\u202e\tand\nmore"

// told runs what writes for people, and returns what they read.
func told(show func(p *program, out *strings.Builder)) string {
	var out strings.Builder
	show(&program{stdout: &out, stderr: &out, getenv: func(string) string { return "" }, now: func() time.Time { return noon }}, &out)
	return out.String()
}

func TestStatusTellsByOwnerWhatWouldBeRefused(t *testing.T) {
	workload := func(owner, name, reference string) api.Workload {
		return api.Workload{Running: gate.Running{
			Place: touchstone.Place{Namespace: "shop", Owner: owner}, Workload: touchstone.Workload{Kind: "Deployment", Name: name}, Reference: reference,
		}}
	}
	fine, bad, odd := workload("team-shop", "cart", "cart:1.5"), workload("team-shop", "till", "till:1"), workload("", stranger, stranger)
	fine.Verdict = touchstone.Allowed
	bad.Verdict, bad.Failing = touchstone.Refused, []string{"cvss CVE-2026-1001"}
	bad.Findings = []touchstone.Finding{{Rule: "cvss", Thing: "CVE-2026-1001", Deadline: noon}}
	odd.Problem = stranger
	got := told(func(p *program, out *strings.Builder) {
		p.showStatus(out, []api.Workload{fine, bad, odd}, []gate.Mode{{Namespace: "shop", Enforced: true}})
	})
	for _, want := range []string{
		"3 containers run: 1 would be allowed, 1 refused, 1 are undecided or unscanned",
		"\nnobody\n", "\nteam-shop\n", "shop (enforced)", "till:1", "refused: cvss CVE-2026-1001", "mend by 2026-11-23", "unscanned: red",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "cart:1.5") {
		t.Errorf("what is fine is listed:\n%s", got)
	}
	harmless(t, got)
}

func TestWhatStrangersNameIsEscaped(t *testing.T) {
	request := &release.Request{
		ID: "01", Kind: release.KindImprovement, State: release.Open, By: release.Person{Name: stranger}, Needs: stranger,
		Approvals:   []touchstone.Approval{{By: stranger, Reason: stranger}},
		Improvement: &release.ImprovementAsk{Workload: touchstone.Workload{Kind: stranger, Name: stranger}, Artifact: stranger, Reason: stranger},
	}
	decision := touchstone.Decision{
		Verdict: touchstone.Refused, Reasons: []touchstone.Reason{{Rule: stranger, Outcome: touchstone.Fail, Effect: touchstone.EffectRefuse, Seen: stranger, Fix: stranger}},
		Better: &touchstone.Comparison{Mended: []string{stranger}}, Findings: []touchstone.Finding{{Rule: stranger, Thing: stranger}},
	}
	for what, show := range map[string]func(*program, *strings.Builder){
		"a request": func(p *program, out *strings.Builder) { p.showRequest(out, request) },
		"an event": func(p *program, _ *strings.Builder) {
			_ = p.showEvent("table", &api.Event{Kind: stranger, Scan: &api.Scan{Reference: stranger, Problem: stranger}})
		},
		"a decision": func(p *program, out *strings.Builder) {
			p.showDecision(out, &api.DecisionDocument{ID: "01", Actor: stranger, Artifact: touchstone.Artifact{Name: stranger}, Decision: decision})
		},
		"a promotion": func(p *program, out *strings.Builder) {
			p.showPromotion(out, &release.PromotionAsk{To: stranger}, &release.Result{
				Answers:  []gate.Answer{{Artifact: touchstone.Artifact{Name: stranger}, Decision: decision, Scanning: true}, {}},
				Warnings: []string{stranger}, Request: &release.Request{State: release.Open, Needs: stranger},
			})
		},
		"a simulation": func(p *program, out *strings.Builder) {
			p.showSimulation(out, &gate.Simulation{Refused: []gate.OwnerChanges{{Owner: stranger, Changes: []gate.VerdictChange{{Artifact: stranger, Rules: []string{stranger}}}}}})
		},
		"a place": func(_ *program, out *strings.Builder) {
			showWhere(out, &api.Where{Place: touchstone.Place{Environment: stranger, Owner: stranger, Assumed: []string{stranger}}})
		},
		"a mode": func(_ *program, out *strings.Builder) {
			showMode(out, stranger, &api.ModeAnswer{InTheWay: []api.Workload{{Problem: stranger}}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			got := told(show)
			if !strings.Contains(got, "red") {
				t.Errorf("nothing is told: %q", got)
			}
			harmless(t, got)
		})
	}
}

// harmless checks that the text steers no terminal, and breaks no line that we did
// not break.
func harmless(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\nmore") {
		t.Errorf("a stranger's name steers the terminal:\n%q", text)
	}
}

func TestWhatAPromotionEndsWith(t *testing.T) {
	answer := func(v touchstone.Verdict, scanning bool) gate.Answer {
		return gate.Answer{Scanning: scanning, Decision: touchstone.Decision{Verdict: v}}
	}
	waiting := &release.Request{State: release.Open}
	for what, one := range map[string]struct {
		result release.Result
		want   int
	}{
		"allowed":                      {release.Result{Answers: []gate.Answer{answer(touchstone.Allowed, false)}}, exitAllowed},
		"refused":                      {release.Result{Answers: []gate.Answer{answer(touchstone.Allowed, false), answer(touchstone.Refused, false)}}, exitRefused},
		"undecided":                    {release.Result{Answers: []gate.Answer{answer(touchstone.Undecided, false)}}, ExitUndecided},
		"allowed once it is scanned":   {release.Result{Answers: []gate.Answer{answer(touchstone.Allowed, true)}}, ExitUndecided},
		"one scanned, another refused": {release.Result{Answers: []gate.Answer{answer(touchstone.Refused, true), answer(touchstone.Refused, false)}}, exitRefused},
		"waits for people":             {release.Result{Answers: []gate.Answer{answer(touchstone.Refused, false)}, Request: waiting}, ExitUndecided},
		"was promoted, refused today":  {release.Result{Answers: []gate.Answer{answer(touchstone.Refused, false)}, Promoted: make([]touchstone.Promotion, 1)}, exitAllowed},
	} {
		p := &program{stderr: &strings.Builder{}}
		if got := p.exit(promotionExit(&one.result)); got != one.want {
			t.Errorf("%s: %d, want %d", what, got, one.want)
		}
	}
}

func TestAnImprovementIsAskedForWhatWasRefusedAndIsBetter(t *testing.T) {
	refused := func() *api.DecisionDocument {
		return &api.DecisionDocument{
			ID: "01", Artifact: touchstone.Artifact{Name: "shop/cart:1.5", Digest: "sha256:ab"},
			Question: touchstone.Question{Workload: touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "app"}},
			Decision: touchstone.Decision{
				Verdict: touchstone.Refused, Place: touchstone.Place{Environment: "prod", Namespace: "shop"}, Better: &touchstone.Comparison{Mended: []string{"cvss CVE-1"}},
			},
		}
	}
	got, err := improvement(refused(), "it mends CVE-1")
	if err != nil || got.Kind != release.KindImprovement || got.Improvement.Workload.Container != "" || got.Improvement.Reason != "it mends CVE-1" || got.Improvement.Digest != "sha256:ab" {
		t.Errorf("%+v %v", got, err)
	}
	for want, change := range map[string]func(*api.DecisionDocument){
		"has refused nothing":   func(d *api.DecisionDocument) { d.Decision.Verdict = touchstone.Allowed },
		"is about no workload":  func(d *api.DecisionDocument) { d.Question.Workload = touchstone.Workload{} },
		"does not find it bett": func(d *api.DecisionDocument) { d.Decision.Better = nil },
	} {
		doc := refused()
		change(doc)
		if _, err := improvement(doc, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that %s", err, want)
		}
	}
}

func TestMomentsToCome(t *testing.T) {
	p := &program{now: func() time.Time { return noon }}
	for text, want := range map[string]string{
		"2027-01-31": "2027-02-01T00:00:00Z", "30d": "2026-12-23T12:00:00Z", "4h": "2026-11-23T16:00:00Z", "2027-01-31T16:00:00+01:00": "2027-01-31T15:00:00Z",
		"never": "", "0d": "", "-4h": "", "30days": "", "31.1.2027": "", "": "",
	} {
		got, err := p.end("until", text)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, got, err, want)
		}
	}
	if got, err := p.begin("from", "2027-01-31"); err != nil || got.Format(time.RFC3339) != "2027-01-31T00:00:00Z" {
		t.Errorf("a day begins %v %v", got, err)
	}
}

// TestEveryCommandOfAServerIsDescribed runs --help of each, and holds those that call
// a server to the same flags.
func TestEveryCommandOfAServerIsDescribed(t *testing.T) {
	for _, name := range []string{
		"promote", "promotions", "requests", "approve", "reject", "improve", "waive", "waive import", "waive list", "waive revoke", "freeze", "freeze list",
		"freeze thaw", "decisions", "replay", "simulate", "rules apply", "events", "scans", "where", "log list", "log verify", "log checkpoint",
		"token create", "token list", "token revoke", "token whoami", "backup", "admit status", "admit enforce", "admit report",
	} {
		code, out, _ := execute(context.Background(), append(strings.Fields(name), "--help", "--data", t.TempDir())...)
		if code != 0 || !strings.Contains(out, "--token-file") || !strings.Contains(out, "--output") || strings.Contains(out, "Global Flags") {
			t.Errorf("%s --help: %d\n%s", name, code, out)
		}
	}
}
