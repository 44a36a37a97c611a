package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

func (p *program) requestsCommand() *cobra.Command {
	var (
		a           asked
		state, kind string
	)
	c := &cobra.Command{
		Use:   "requests [ID]",
		Short: "What somebody asks of others: promotions, waivers, rules, improvements",
		Args:  atMost(1, "at most one id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				if len(args) == 1 {
					r, err := client.Request(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					return p.tell(&a, r, func(w io.Writer) { p.showRequest(w, r) })
				}
				all, err := list(func(at api.Paging) (*api.Page[release.Request], error) {
					return client.Requests(cmd.Context(), release.State(state), release.Kind(kind), at)
				})
				if err != nil {
					return err
				}
				return p.tell(&a, all, func(w io.Writer) { p.showRequests(w, all) })
			})
		},
	}
	c.Flags().StringVar(&state, "state", "open", "open, granted, rejected or lapsed")
	c.Flags().StringVar(&kind, "kind", "", "promotion, waiver, rules or improvement")
	return a.flags(c)
}

func (p *program) approveCommand() *cobra.Command {
	return p.answerCommand("approve ID", "Say yes to what somebody asks; never to what you asked yourself",
		func(ctx context.Context, c *api.Client, id, reason string) (*release.Request, error) {
			return c.Approve(ctx, id, reason)
		})
}

func (p *program) rejectCommand() *cobra.Command {
	return p.answerCommand("reject ID", "Say no to what somebody asks",
		func(ctx context.Context, c *api.Client, id, reason string) (*release.Request, error) {
			return c.Reject(ctx, id, reason)
		})
}

func (p *program) answerCommand(use, short string, answer func(context.Context, *api.Client, string, string) (*release.Request, error)) *cobra.Command {
	var (
		a      asked
		reason string
	)
	c := &cobra.Command{
		Use: use, Short: short,
		Args: exactly(1, "the id of a request"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				r, err := answer(cmd.Context(), client, args[0], reason)
				if err != nil {
					return err
				}
				return p.tell(&a, r, func(w io.Writer) { p.showRequest(w, r) })
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return a.flags(c)
}

func (p *program) showRequests(w io.Writer, all []release.Request) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no request")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tKIND\tSTATE\tBY\tFOR\tNEEDS")
	for i := range all {
		r := &all[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Kind, r.State, plain(r.By.Name), plain(wanted(r)), plain(r.Needs))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
}

// wanted is what a request asks for, in a line.
func wanted(r *release.Request) string {
	switch {
	case r.Promotion != nil:
		s := r.Promotion.To + ":"
		for _, a := range r.Promotion.Artifacts {
			s += " " + a
		}
		return s
	case r.Waiver != nil:
		s := r.Waiver.Rule
		for _, part := range []string{r.Waiver.Advisory, r.Waiver.Package, r.Waiver.Artifact} {
			if part != "" {
				s += " " + part
			}
		}
		return s + " until " + r.Waiver.Until.UTC().Format("2006-01-02")
	case r.Rules != nil:
		s := "rules " + r.Rules.Digest.Short()
		if !r.Rules.From.IsZero() {
			s += " from " + r.Rules.From.UTC().Format("2006-01-02 15:04 MST")
		}
		return s
	case r.Improvement != nil:
		return r.Improvement.Workload.Kind + " " + r.Improvement.Workload.Name + " " + r.Improvement.Artifact
	}
	return ""
}

func (p *program) showRequest(w io.Writer, r *release.Request) {
	fmt.Fprintf(w, "%s  %s %s: %s\n", r.ID, r.Kind, r.State, plain(wanted(r)))
	fmt.Fprintf(w, "  asked by %s, %s\n", plain(r.By.Name), p.moment(r.At))
	for i := range r.Approvals {
		one := &r.Approvals[i]
		fmt.Fprintf(w, "  approved by %s, %s %s\n", plain(one.By), p.moment(one.At), plain(one.Reason))
	}
	if r.Rejection != nil {
		fmt.Fprintf(w, "  rejected by %s, %s %s\n", plain(r.Rejection.By), p.moment(r.Rejection.At), plain(r.Rejection.Reason))
	}
	if r.Needs != "" {
		fmt.Fprintf(w, "  %s\n", plain(r.Needs))
	}
}
