package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

func (p *program) requestsCommand() *cobra.Command {
	var state, kind string
	states := []string{string(release.Open), string(release.Granted), string(release.Rejected), string(release.Lapsed)}
	kinds := []string{string(release.KindPromotion), string(release.KindWaiver), string(release.KindRules), string(release.KindImprovement)}
	c := listCommand(p, listing[release.Request]{
		use: "requests [ID]", short: "What somebody asks of others: promotions, waivers, rules, improvements",
		example: `  touchstone requests
  touchstone requests --state granted --kind waiver
  touchstone requests 01JDC9T3Z1V6W0Q4N8R5K7M2XA`,
		args: atMostOne("at most one id"), last: 25,
		empty: "no such request", head: "ID\tKIND\tSTATE\tBY\tFOR\tNEEDS",
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[release.Request], error) {
			if err := errors.Join(choice("state", state, states...), choice("kind", kind, kinds...)); err != nil {
				return nil, misused{err}
			}
			return client.Requests(cmd.Context(), release.State(state), release.Kind(kind), at)
		},
		row: func(r *release.Request) []string {
			return []string{r.ID, string(r.Kind), string(r.State), r.By.Name, p.wanted(r), r.Needs}
		},
		names: func(string) bool { return true }, one: p.wholeRequest,
	})
	c.Flags().StringVar(&state, "state", "open", "open, granted, rejected or lapsed")
	c.Flags().StringVar(&kind, "kind", "", "promotion, waiver, rules or improvement")
	return c
}

// wholeRequest gets one request, and of rules what they would change.
func (p *program) wholeRequest(cmd *cobra.Command, client *api.Client, id string) (any, func(io.Writer), error) {
	r, err := client.Request(cmd.Context(), id)
	if err != nil || r.Rules == nil {
		return r, func(w io.Writer) { p.showRequest(w, r) }, err
	}
	now, err := client.Rules(cmd.Context())
	return r, func(w io.Writer) {
		p.showRequest(w, r)
		fmt.Fprintln(w, "\n"+changes(now.Source, r.Rules.Source))
	}, err
}

// changes are the lines in which rules that are asked for differ.
func changes(inForce, asked string) string {
	if inForce == asked {
		return "These are the rules in force."
	}
	_, lines, _ := strings.Cut(string(diff.Diff("the rules in force", []byte(inForce), "those asked for", []byte(asked))), "\n")
	return shown(strings.TrimSpace(lines))
}

func (p *program) approveCommand() *cobra.Command {
	return p.answerCommand("approve ID", "Say yes to what somebody asks; never to what you asked yourself", (*api.Client).Approve)
}

func (p *program) rejectCommand() *cobra.Command {
	return p.answerCommand("reject ID", "Say no to what somebody asks, or take back what you asked", (*api.Client).Reject)
}

func (p *program) answerCommand(use, short string, answer func(c *api.Client, ctx context.Context, id, reason string) (*release.Request, error)) *cobra.Command {
	var (
		a      asked
		reason string
	)
	c := &cobra.Command{
		Use: use, Short: short,
		Long: short + `.
touchstone requests lists what is asked, and touchstone requests ID shows it whole.

Exit codes: 0 done, 2 said, and something is still missing.`,
		Args: exactly(1, "the id of a request"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				r, err := answer(client, cmd.Context(), args[0], reason)
				if err != nil {
					return err
				}
				if err := p.tell(&a, r, func(w io.Writer) { p.showRequest(w, r) }); err != nil {
					return err
				}
				if r.State == release.Open {
					return &finding{code: ExitUndecided}
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return a.flags(c)
}

func (p *program) improveCommand() *cobra.Command {
	var (
		a      asked
		reason string
	)
	c := &cobra.Command{
		Use:   "improve DECISION --reason WHY",
		Short: "Ask that a refused artifact be let in, because it is better than what runs",
		Long: `Ask that a refused artifact be let in, because it is better than what runs in that
workload now: nothing new fails, and at least one failure less. The refusal says
whether it is, and names its decision. The rule "improves" says where an approval
lets such a one in, freezes included; once it is given, the workload that asks
again is let in.`,
		Example: "  touchstone improve 01JDC9T3Z1V6W0Q4N8R5K7M2XA --reason \"mends CVE-2026-1234\"",
		Args:    exactly(1, "the id of a decision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.ask(cmd, &a, func(client *api.Client) (*release.Request, error) {
				doc, err := client.Decision(cmd.Context(), args[0])
				if err != nil {
					return nil, err
				}
				return improvement(doc, reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever is to approve it")
	return a.flags(c)
}

// improvement is the request for what a decision has refused.
func improvement(doc *api.DecisionDocument, reason string) (*release.Request, error) {
	d := &doc.Decision
	switch {
	case d.Verdict != touchstone.Refused:
		return nil, misused{fmt.Errorf("the decision %s has refused nothing: it is %s", doc.ID, d.Verdict)}
	case doc.Question.Workload.Name == "":
		return nil, misused{fmt.Errorf("the decision %s is about no workload\nhint: name the one by which a cluster was refused: touchstone decisions --verdict refused", doc.ID)}
	case !d.Better.Better():
		return nil, misused{fmt.Errorf("the decision %s does not find it better than what runs there\nhint: touchstone decisions %s tells why it was refused", doc.ID, doc.ID)}
	}
	workload := doc.Question.Workload
	workload.Container = ""
	return &release.Request{Kind: release.KindImprovement, Improvement: &release.ImprovementAsk{
		Place: d.Place, Workload: workload, Artifact: doc.Artifact.Label(), Digest: doc.Artifact.Digest, Reason: reason,
	}}, nil
}

// ask opens a request and tells how it stands.
func (p *program) ask(cmd *cobra.Command, a *asked, want func(*api.Client) (*release.Request, error)) error {
	return p.call(a, func(client *api.Client) error {
		r, err := want(client)
		if err != nil {
			return err
		}
		if r, err = client.Ask(cmd.Context(), *r); err != nil {
			return err
		}
		return p.tell(a, r, func(w io.Writer) { p.showRequest(w, r) })
	})
}

// wanted is what a request asks for, in a line.
func (p *program) wanted(r *release.Request) string {
	switch {
	case r.Promotion != nil:
		return r.Promotion.To + ": " + strings.Join(r.Promotion.Artifacts, " ")
	case r.Waiver != nil:
		return r.Waiver.Rule + " " + waived(r.Waiver) + " until " + p.moment(r.Waiver.Until)
	case r.Rules != nil && r.Rules.From.IsZero():
		return "rules " + r.Rules.Digest.Short() + ", once approved"
	case r.Rules != nil:
		return "rules " + r.Rules.Digest.Short() + " from " + p.moment(r.Rules.From)
	case r.Improvement != nil:
		i := r.Improvement
		return i.Place.Namespace + " " + i.Workload.Kind + " " + i.Workload.Name + ": " + i.Artifact + "@" + i.Digest.Short()
	}
	return ""
}

func (p *program) showRequest(w io.Writer, r *release.Request) {
	fmt.Fprintf(w, "%s  %s %s: %s\n", r.ID, r.Kind, r.State, plain(p.wanted(r)))
	if v := r.Waiver; v != nil {
		fmt.Fprintf(w, "  owner %s: %s\n", plain(v.Owner), plain(v.Reason))
		if ends := sooner(v); len(ends) > 0 {
			fmt.Fprintf(w, "  ends sooner %s\n", strings.Join(ends, ", and "))
		}
	}
	if i := r.Improvement; i != nil && i.Reason != "" {
		fmt.Fprintf(w, "  because %s\n", plain(i.Reason))
	}
	fmt.Fprintf(w, "  asked by %s, %s\n", plain(r.By.Name), p.moment(r.At))
	said := func(what, by string, at time.Time, reason string) {
		line := what + " by " + by + ", " + p.moment(at)
		if reason != "" {
			line += ": " + reason
		}
		fmt.Fprintf(w, "  %s\n", plain(line))
	}
	for i := range r.Approvals {
		said("approved", r.Approvals[i].By, r.Approvals[i].At, r.Approvals[i].Reason)
	}
	if no := r.Rejection; no != nil {
		said("rejected", no.By, no.At, no.Reason)
	}
	if r.State == release.Open && len(r.Approvals) < max(r.Count, 1) {
		fmt.Fprintf(w, "  waits for %s; lapses %s\nnext, by one of them: touchstone approve %s\n", plain(r.Needs), p.moment(r.Until), r.ID)
	} else if r.Needs != "" {
		fmt.Fprintf(w, "  %s\n", plain(r.Needs))
	}
}
