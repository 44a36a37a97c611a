package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
)

func (p *program) decisionsCommand() *cobra.Command {
	var (
		a      asked
		filter api.DecisionFilter
		last   int
	)
	c := &cobra.Command{
		Use:   "decisions [ARTIFACT | ID]",
		Short: "What a server has decided, the newest first; or one decision, whole",
		Example: `  touchstone decisions --env prod --verdict refused
  touchstone decisions registry.example/shop/cart
  touchstone decisions 01JDC9T3Z1V6W0Q4N8R5K7M2XA`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s wants one artifact or one id\nhint: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				if len(args) == 1 && isID(args[0]) {
					doc, err := client.Decision(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					return p.tell(&a, doc, func(w io.Writer) { p.showDecision(w, doc) })
				}
				if len(args) == 1 {
					filter.Artifact = args[0]
				}
				page, err := client.Decisions(cmd.Context(), filter, api.Paging{Limit: last})
				if err != nil {
					return err
				}
				return p.tell(&a, page, func(w io.Writer) { p.showDecisions(w, page.Items) })
			})
		},
	}
	c.Flags().StringVar(&filter.Environment, "env", "", "only of this environment")
	c.Flags().StringVar(&filter.Namespace, "namespace", "", "only of this namespace")
	c.Flags().StringVar((*string)(&filter.Verdict), "verdict", "", "only allowed, refused or undecided")
	c.Flags().IntVar(&last, "last", 25, "how many")
	return a.flags(c)
}

// isID reports whether s is an id of the record, and no name.
func isID(s string) bool {
	_, err := ulid.ParseStrict(s)
	return err == nil
}

func (p *program) showDecisions(w io.Writer, all []api.Decision) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no decision")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tWHEN\tVERDICT\tFOR\tARTIFACT\tWHY")
	for i := range all {
		d := &all[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, p.moment(d.At), d.Verdict, plain(where(d)), plain(short(d)), plain(d.Why))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
}

func where(d *api.Decision) string {
	s := string(d.Occasion) + " " + d.Environment
	if d.Namespace != "" {
		s += " " + d.Namespace
	}
	if d.Workload != "" {
		s += " " + d.Workload
	}
	return s
}

// short is the artifact with as much of its digest as people compare.
func short(d *api.Decision) string {
	name, digest, found := strings.Cut(d.Artifact, "@")
	if d.Reference != "" {
		name, _, _ = strings.Cut(d.Reference, "@")
	}
	if !found {
		return name
	}
	return name + "@" + touchstone.Digest(digest).Short()
}

func (p *program) showDecision(w io.Writer, doc *api.DecisionDocument) {
	d := &doc.Decision
	fmt.Fprintf(w, "%s  %s\n\n", strings.ToUpper(string(d.Verdict)), plain(doc.Artifact.Label()))
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  id\t%s\n  when\t%s\n  who\t%s\n  digest\t%s\n", doc.ID, p.moment(d.At), plain(doc.Actor), doc.Artifact.Digest)
	fmt.Fprintf(t, "  for\t%s %s\n", doc.Question.Occasion, plain(place(&d.Place)))
	if n := doc.Question.Workload.Name; n != "" {
		fmt.Fprintf(t, "  workload\t%s %s\n", plain(doc.Question.Workload.Kind), plain(n))
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(t, "  holds until\t%s\n", p.moment(d.Until))
	}
	fmt.Fprintf(t, "  decided on\trules %s, advisories %s, evidence %s\n", d.Inputs.Rules.Short(), d.Inputs.Index.Short(), d.Inputs.Evidence.Short())
	_ = t.Flush() // the writer below tells what is wrong with it
	fmt.Fprintln(w)
	showReasons(w, d.Reasons)
	if d.Better.Better() {
		fmt.Fprintf(w, "\n  it is better than what runs there now: %d mended, nothing new\n", len(d.Better.Mended))
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		fmt.Fprintf(w, "  finding: %s %s since %s, to be mended by %s\n", f.Rule, plain(f.Thing), p.moment(f.Since), p.moment(f.Deadline))
	}
}

func place(q *touchstone.Place) string {
	s := q.Environment
	if q.Cluster != "" {
		s += ", cluster " + q.Cluster
	}
	if q.Namespace != "" {
		s += ", namespace " + q.Namespace
	}
	return s
}

// showReasons tells what fails, warns or was waived, with what puts it right.
func showReasons(w io.Writer, reasons []touchstone.Reason) {
	for i := range reasons {
		why := &reasons[i]
		if why.Outcome == touchstone.Pass || why.Outcome == touchstone.NotApplicable {
			continue
		}
		mark := "!"
		switch {
		case why.Refuses():
			mark = "✗"
		case why.Stalls():
			mark = "?"
		case why.Outcome == touchstone.Waived:
			mark = "–"
		}
		fmt.Fprintf(w, "  %s %-18s %s\n", mark, plain(why.Rule), plain(why.Seen))
		if why.Fix != "" {
			fmt.Fprintf(w, "    %-18s fix: %s\n", "", plain(why.Fix))
		}
	}
}

func (p *program) replayCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "replay ID",
		Short: "Decide again from what a decision was taken on, and say what differs",
		Long: `Decide again from what a decision was taken on: the evidence, the advisories that
matched, the rules, the waivers, the history and the moment of then. Exit code 0
when the answer is the same, 1 when anything differs, 2 when an input is gone.`,
		Args: exactly(1, "the id of a decision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				r, err := client.Replay(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := p.tell(&a, r, func(w io.Writer) { showReplay(w, r) }); err != nil {
					return err
				}
				switch {
				case len(r.Missing) > 0:
					return &finding{code: ExitUndecided}
				case !r.Same:
					return refused("")
				}
				return nil
			})
		},
	}
	return a.flags(c)
}

func showReplay(w io.Writer, r *api.Replay) {
	switch {
	case len(r.Missing) > 0:
		fmt.Fprintf(w, "%s cannot be decided again: %s is no longer kept\n", r.ID, strings.Join(r.Missing, ", "))
	case r.Same:
		fmt.Fprintf(w, "%s: the same again, %s\n", r.ID, r.Then.Verdict)
	default:
		fmt.Fprintf(w, "%s: differs\n", r.ID)
		for _, line := range r.Differs {
			fmt.Fprintf(w, "  %s\n", plain(line))
		}
	}
}
