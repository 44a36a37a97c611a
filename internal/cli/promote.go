package cli

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/release"
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

Exit codes: 0 promoted, 1 refused, 2 undecided or waiting for approvals.`,
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

// promotionExit is the worst of the answers; what waits for people is undecided.
func promotionExit(r *release.Result) error {
	worst := touchstone.Allowed
	for i := range r.Answers {
		if v := r.Answers[i].Decision.Verdict; v.Worse(worst) {
			worst = v
		}
	}
	waits := r.Request != nil && r.Request.State == release.Open
	scanning := slices.ContainsFunc(r.Answers, func(a gate.Answer) bool { return a.Scanning })
	if worst == touchstone.Refused && (waits || scanning) {
		worst = touchstone.Undecided
	}
	return verdictExit(worst, false, false)
}

func (p *program) showPromotion(w io.Writer, ask *release.PromotionAsk, r *release.Result) {
	for i := range r.Answers {
		one := &r.Answers[i]
		verdict := string(one.Decision.Verdict)
		if one.Scanning {
			verdict = "not seen before: scan started, try again in about 10 s"
		}
		fmt.Fprintf(w, "%s for %s: %s\n", plain(one.Pinned), plain(ask.To), verdict)
		showReasons(w, one.Decision.Reasons)
	}
	switch {
	case len(r.Promoted) > 0:
		for i := range r.Promoted {
			m := &r.Promoted[i]
			fmt.Fprintf(w, "promoted %s@%s to %s by %s\n", plain(m.Artifact), m.Digest.Short(), plain(m.Environment), plain(m.By))
		}
	case r.Request != nil:
		fmt.Fprintf(w, "waits for approval: %s\n  touchstone approve %s\n", plain(r.Request.Needs), r.Request.ID)
	case ask.DryRun:
		fmt.Fprintln(w, "nothing was done (--dry-run)")
	}
	if !r.Opens.IsZero() {
		fmt.Fprintf(w, "it opens at %s\n", p.moment(r.Opens))
	}
}

func (p *program) promotionsCommand() *cobra.Command {
	var (
		a   asked
		env string
	)
	c := &cobra.Command{
		Use:   "promotions [REPOSITORY]",
		Short: "What was promoted, the newest first",
		Args:  atMost(1, "at most one repository"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				page, err := client.Promotions(cmd.Context(), first(args), env, api.Paging{})
				if err != nil {
					return err
				}
				return p.tell(&a, page, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "WHEN\tTO\tARTIFACT\tBY\tDECISION")
					for i := range page.Items {
						m := &page.Items[i]
						fmt.Fprintf(t, "%s\t%s\t%s@%s\t%s\t%s\n", p.moment(m.At), plain(m.Environment), plain(m.Artifact), m.Digest.Short(), plain(m.By), m.Decision)
					}
					_ = t.Flush() // the writer below tells what is wrong with it
				})
			})
		},
	}
	c.Flags().StringVar(&env, "env", "", "only into this environment")
	return a.flags(c)
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// atMost wants so many arguments or fewer.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%s wants %s\nhint: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}
