package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) decisionsCommand() *cobra.Command {
	var filter api.DecisionFilter
	c := listCommand(p, listing[api.Decision]{
		use: "decisions [ARTIFACT | ID]", short: "What a server has decided, the newest first; or one decision, whole",
		example: `  touchstone decisions --env prod --verdict refused
  touchstone decisions registry.example/shop/cart
  touchstone decisions registry.example/shop/cart@sha256:…
  touchstone decisions 01JDC9T3Z1V6W0Q4N8R5K7M2XA`,
		args: atMostOne("one artifact or one id"), last: 25,
		empty: "no such decision", head: "ID\tWHEN\tVERDICT\tFOR\tARTIFACT\tWHY",
		page: func(cmd *cobra.Command, client *api.Client, args []string, at api.Paging) (*api.Page[api.Decision], error) {
			if err := decisionFilter(&filter, first(args)); err != nil {
				return nil, misused{err}
			}
			return client.Decisions(cmd.Context(), filter, at)
		},
		row: func(d *api.Decision) []string {
			return []string{d.ID, p.moment(d.At), string(d.Verdict), purpose(d), short(d), d.Why}
		},
		names: isID, one: p.wholeDecision,
	})
	c.Flags().StringVar(&filter.Environment, "env", "", "only of this environment")
	c.Flags().StringVar(&filter.Namespace, "namespace", "", "only of this namespace")
	c.Flags().StringVar((*string)(&filter.Verdict), "verdict", "", "only allowed, refused or undecided")
	return c
}

// decisionFilter names the artifact to look for. Decisions are found by what was
// judged; a tag only pointed there.
func decisionFilter(f *api.DecisionFilter, artifact string) error {
	name, digest, _ := strings.Cut(artifact, "@")
	if colon := strings.LastIndexByte(name, ':'); digest == "" && colon > strings.LastIndexByte(name, '/') && !strings.HasPrefix(name, "sha256:") {
		return fmt.Errorf("decisions are found by repository or digest, and not by tag\nhint: touchstone decisions %s", name[:colon])
	}
	f.Artifact = artifact
	return choice("verdict", string(f.Verdict), string(touchstone.Allowed), string(touchstone.Refused), string(touchstone.Undecided))
}

// isID reports whether s is an id of the record, and no name.
func isID(s string) bool {
	_, err := ulid.ParseStrict(s)
	return err == nil
}

// purpose is what was asked for: the occasion and the place.
func purpose(d *api.Decision) string {
	return strings.Join(strings.Fields(string(d.Occasion)+" "+d.Environment+" "+d.Namespace+" "+d.Workload), " ")
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

func (p *program) wholeDecision(cmd *cobra.Command, client *api.Client, id string) (any, func(io.Writer), error) {
	doc, err := client.Decision(cmd.Context(), id)
	return doc, func(w io.Writer) { p.showDecision(w, doc) }, err
}

func (p *program) showDecision(w io.Writer, doc *api.DecisionDocument) {
	d, q := &doc.Decision, &doc.Question
	p.showReasons(w, doc.Artifact.Label(), d, []report.Fact{
		{Name: "decision", Text: doc.ID},
		{Name: "when", Text: p.moment(d.At)},
		{Name: "asked", Text: string(q.Occasion) + ", by " + doc.Actor},
		{Name: "digest", Text: string(doc.Artifact.Digest)},
		{Name: "workload", Text: strings.TrimSpace(q.Workload.Kind + " " + q.Workload.Name)},
		{Name: "assumed", Text: strings.Join(d.Place.Assumed, "; ")},
		{Name: "holds until", Text: p.moment(d.Until)},
		{Name: "decided on", Text: decidedOn(&d.Inputs)},
	})
	if d.Better.Better() {
		fmt.Fprintf(w, "\nIt is better than what runs there: %d mended, nothing new.\n", len(d.Better.Mended))
		if d.Verdict == touchstone.Refused && q.Workload.Name != "" {
			fmt.Fprintf(w, "next: touchstone improve %s\n", doc.ID)
		}
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		fmt.Fprintf(w, "\nFinding: %s %s since %s, to be mended by %s\n", plain(f.Rule), plain(f.Thing), p.moment(f.Since), p.moment(f.Deadline))
	}
}

// decidedOn names what was at hand of the inputs.
func decidedOn(in *touchstone.Inputs) string {
	var parts []string
	for _, part := range []struct {
		name   string
		digest touchstone.Digest
	}{{"rules", in.Rules}, {"advisories", in.Index}, {"evidence", in.Evidence}} {
		if part.digest != "" {
			parts = append(parts, part.name+" "+part.digest.Short())
		}
	}
	return strings.Join(parts, ", ")
}

func (p *program) replayCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "replay ID",
		Short: "Decide again from what a decision was taken on, and say what differs",
		Long: `Decide again from what a decision was taken on: the evidence, the advisories that
matched, the rules, the waivers, the history and the moment of then.

Exit codes: 0 the answer is the same, 1 something differs, 2 an input is gone.`,
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
		fmt.Fprintf(w, "%s cannot be decided again: %s is no longer kept\n", r.ID, plain(strings.Join(r.Missing, ", ")))
	case r.Same:
		fmt.Fprintf(w, "%s: the same again, %s\n", r.ID, r.Then.Verdict)
	default:
		fmt.Fprintf(w, "%s: differs\n", r.ID)
		for _, line := range r.Differs {
			fmt.Fprintf(w, "  %s\n", plain(line))
		}
	}
}
