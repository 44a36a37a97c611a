package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

func (p *program) waiveCommand() *cobra.Command {
	var (
		a     asked
		w     touchstone.Waiver
		until string
	)
	c := &cobra.Command{
		Use:   "waive --rule RULE --artifact NAME --until WHEN --owner WHO --reason WHY",
		Short: "Ask a server to set a rule aside for a named thing until a moment",
		Long: `Ask a server to set a rule aside for a named thing until a moment. It holds once
another person has approved it (touchstone approve ID), and ends by itself: at
its moment, and earlier if told so, when a fix is there, when the score rises or
when the hole is exploited.`,
		Example: `  touchstone waive --rule cvss --artifact registry.example/shop/cart --advisory CVE-2026-1234 \
    --env prod --until 30d --owner team-shop --reason "not reachable: no TLS client" --until-fix
  touchstone waive import touchstone-waivers.yaml
  touchstone waive list`,
		Args: exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if w.Rule == "" || until == "" || w.Owner == "" || w.Reason == "" {
				return errors.New("a waiver needs --rule, --until, --owner and --reason\nhint: touchstone waive --help shows one")
			}
			var err error
			if w.Until, err = p.end("until", until); err != nil {
				return err
			}
			w.WholeRule = w.Advisory == "" && w.Package == ""
			return p.ask(cmd, &a, func(*api.Client) (*release.Request, error) {
				return &release.Request{Kind: release.KindWaiver, Waiver: &w}, nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&w.Rule, "rule", "", "the rule")
	f.StringVar(&w.Artifact, "artifact", "", "name (with * for any run of characters) or digest (default: any)")
	f.StringVar(&w.Advisory, "advisory", "", "one hole, by any of its names")
	f.StringVar(&w.Package, "package", "", "one package, path or other thing that the rule names")
	f.StringSliceVar(&w.Environments, "env", nil, "environments (default: all)")
	f.StringVar(&w.Owner, "owner", "", "who answers for it")
	f.StringVar(&w.Reason, "reason", "", "why")
	f.StringVar(&until, "until", "", "when it ends: a day, an instant, or a time from now (30d)")
	f.Float64Var(&w.ScoreAbove, "score-above", 0, "end it when the score rises above this")
	f.BoolVar(&w.UntilFix, "until-fix", false, "end it when a fix is there")
	f.BoolVar(&w.UnlessExploited, "unless-exploited", false, "end it when the hole is known to be exploited")
	c.AddCommand(p.waiveImport(), p.waiveList(), p.remarkCommand("revoke ID", "End a waiver before its time", "the id of a waiver", "revoked", (*api.Client).RevokeWaiver))
	return a.flags(c)
}

func (p *program) waiveImport() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Ask for each waiver of a file, all or none; they are approved like any other",
		Long: `Ask for each waiver of a file, all or none; they are approved like any other. What
is asked for already keeps its request, and what is in force already gets none.`,
		Example: "  touchstone waive import touchstone-waivers.yaml",
		Args:    exactly(1, "a file of waivers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the waivers: %w", err)
			}
			return p.call(&a, func(client *api.Client) error {
				got, err := client.ImportWaivers(cmd.Context(), api.WaiverFile{Name: args[0], Text: string(data)})
				if err != nil {
					return err
				}
				for _, warning := range got.Warnings {
					p.note("%s", warning)
				}
				return p.tell(&a, got, func(w io.Writer) {
					tabulate(w, got.Requests, "nothing was asked for: all of them are in force already", "ID\tSTATE\tFOR\tNEEDS",
						func(r *release.Request) []string { return []string{r.ID, string(r.State), p.wanted(r), r.Needs} })
				})
			})
		},
	}
	return a.flags(c)
}

func (p *program) waiveList() *cobra.Command {
	return listCommand(p, listing[touchstone.Waiver]{
		use: "list", short: "The waivers in force, the first to lapse first",
		empty: "no waiver is in force", head: "ID\tUNTIL\tRULE\tFOR\tOWNER\tAPPROVED BY\tREASON",
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[touchstone.Waiver], error) {
			return client.Waivers(cmd.Context(), at)
		},
		row: func(v *touchstone.Waiver) []string {
			until := p.moment(v.Until)
			if ends := sooner(v); len(ends) > 0 {
				until += ", or " + strings.Join(ends, ", or ")
			}
			return []string{v.ID, until, v.Rule, waived(v), v.Owner, v.ApprovedBy, v.Reason}
		},
	})
}

// waived is the thing that a waiver is for.
func waived(v *touchstone.Waiver) string {
	var parts []string
	for _, part := range []string{v.Advisory, v.Package} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if v.Artifact == "" {
		parts = append(parts, "in any artifact")
	} else {
		parts = append(parts, "in "+v.Artifact)
	}
	if len(v.Environments) > 0 {
		parts = append(parts, "for "+strings.Join(v.Environments, ", "))
	}
	return strings.Join(parts, " ")
}

// sooner is what ends a waiver before its moment.
func sooner(v *touchstone.Waiver) []string {
	var out []string
	if v.UntilFix {
		out = append(out, "when a fix is there")
	}
	if v.ScoreAbove > 0 {
		out = append(out, fmt.Sprintf("when the score rises above %g", v.ScoreAbove))
	}
	if v.UnlessExploited {
		out = append(out, "when it is exploited")
	}
	return out
}
