package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/release"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) promoteCommand() *cobra.Command {
	var (
		a   asked
		ask release.PromotionAsk
	)
	c := &cobra.Command{
		Use:   "promote IMAGE… --to ENVIRONMENT",
		Short: "Let artifacts into an environment, all or none; or be told every reason why not",
		Long: `Let artifacts into an environment, all or none: the rules of that environment
decide, and with them soak time in the one before, approvals, freezes and
windows. Where approvals alone are missing a request is opened, and its id told.

Exit codes: 0 promoted (or it was already), 1 refused, 2 undecided, being
scanned, or waiting for approvals.`,
		Example: `  touchstone promote registry.example/shop/cart:1.4 --to stage
  touchstone promote registry.example/shop/cart:1.4 registry.example/shop/till:2.0 --to prod --dry-run`,
		Args: atLeast(1, "artifacts to promote"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if ask.To == "" {
				return fmt.Errorf("%s wants --to: the environment\nhint: %s", cmd.CommandPath(), cmd.UseLine())
			}
			ask.Artifacts = args
			return p.call(&a, func(client *api.Client) error {
				r, err := client.Promote(cmd.Context(), ask)
				if err != nil {
					return err
				}
				if err := p.tell(&a, r, func(w io.Writer) { p.showPromotion(w, &ask, r) }); err != nil {
					return err
				}
				return promotionExit(r)
			})
		},
	}
	c.Flags().StringVar(&ask.To, "to", "", "the environment")
	c.Flags().BoolVar(&ask.DryRun, "dry-run", false, "only say what would happen")
	return a.flags(c)
}

// promotionExit is the worst of the answers. What is promoted already stays so,
// whatever the rules say of it today; what waits, for people or a scan, is
// undecided.
func promotionExit(r *release.Result) error {
	if len(r.Promoted) > 0 {
		return nil
	}
	worst := touchstone.Allowed
	for i := range r.Answers {
		v := r.Answers[i].Decision.Verdict
		if r.Answers[i].Scanning || waits(r) {
			v = touchstone.Undecided
		}
		if v.Worse(worst) {
			worst = v
		}
	}
	return verdictExit(worst, false, false)
}

// waits reports whether approvals alone are missing.
func waits(r *release.Result) bool { return r.Request != nil && r.Request.State == release.Open }

func (p *program) showPromotion(w io.Writer, ask *release.PromotionAsk, r *release.Result) {
	for i := range r.Promoted {
		m := &r.Promoted[i]
		done := "promoted to"
		if !slices.ContainsFunc(r.Answers, func(a gate.Answer) bool { return a.ID == m.Decision }) {
			done = "was promoted already, " + p.moment(m.At) + ", to"
		}
		fmt.Fprintf(w, "%s@%s %s %s by %s\n", plain(m.Artifact), m.Digest.Short(), done, plain(m.Environment), plain(m.By))
	}
	if len(r.Promoted) == 0 || ask.DryRun {
		for i := range r.Answers {
			p.showAnswer(w, &r.Answers[i])
		}
		p.showHeld(w, ask, r)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", plain(warning))
	}
}

// showAnswer tells what the rules say of one artifact.
func (p *program) showAnswer(w io.Writer, one *gate.Answer) {
	label := one.Artifact.Label()
	if !one.Scanning || one.Decision.Verdict != touchstone.Allowed {
		p.showReasons(w, label, &one.Decision, []report.Fact{{Name: "digest", Text: string(one.Artifact.Digest)}, {Name: "decision", Text: one.ID}})
		fmt.Fprintln(w)
	}
	if one.Scanning {
		fmt.Fprintf(w, "%s was not seen before, and is being scanned: try again in about 10 s\n", plain(label))
	}
}

// showHeld says what becomes of what was not promoted.
func (p *program) showHeld(w io.Writer, ask *release.PromotionAsk, r *release.Result) {
	switch {
	case ask.DryRun && waits(r):
		fmt.Fprintf(w, "nothing was done (--dry-run); it would wait for %s\n", plain(r.Request.Needs))
	case ask.DryRun:
		fmt.Fprintln(w, "nothing was done (--dry-run)")
	case waits(r):
		fmt.Fprintf(w, "waits for %s\nnext, by one of them: touchstone approve %s\n", plain(r.Request.Needs), r.Request.ID)
	case len(r.Answers) > 1:
		fmt.Fprintln(w, "nothing was promoted: all go, or none")
	}
	if !r.Opens.IsZero() {
		fmt.Fprintf(w, "opens %s%s\n", p.moment(r.Opens), andApprovals(r))
	}
}

// andApprovals says that people are missing too, beside time.
func andApprovals(r *release.Result) string {
	for i := range r.Answers {
		if slices.ContainsFunc(r.Answers[i].Decision.Reasons, func(why touchstone.Reason) bool { return why.Rule == "approvals" && why.Refuses() }) {
			return ", and then waits for approvals: promote again then"
		}
	}
	return ""
}

// showReasons tells a decision as a check does.
func (p *program) showReasons(w io.Writer, label string, d *touchstone.Decision, facts []report.Fact) {
	o := p.reportOptions(w == p.stdout)
	if err := report.WriteDecision(w, label, d, facts, o); err != nil {
		p.note("the decision cannot be shown: %v", err)
	}
}

func (p *program) promotionsCommand() *cobra.Command {
	var env string
	c := listCommand(p, listing[touchstone.Promotion]{
		use: "promotions [REPOSITORY]", short: "What was promoted, the newest first",
		args: atMostOne("at most one repository"), last: 25,
		empty: "nothing was promoted", head: "WHEN\tTO\tARTIFACT\tBY\tDECISION",
		page: func(cmd *cobra.Command, client *api.Client, args []string, at api.Paging) (*api.Page[touchstone.Promotion], error) {
			return client.Promotions(cmd.Context(), first(args), env, at)
		},
		row: func(m *touchstone.Promotion) []string {
			return []string{p.moment(m.At), m.Environment, m.Artifact + "@" + m.Digest.Short(), m.By, m.Decision}
		},
	})
	c.Flags().StringVar(&env, "env", "", "only into this environment")
	return c
}
