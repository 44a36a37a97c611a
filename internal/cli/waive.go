package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
	"touchstone.dev/touchstone/internal/rules"
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
			end, err := p.when("until", until)
			if err != nil {
				return err
			}
			w.Until = end
			w.WholeRule = w.Advisory == "" && w.Package == ""
			return p.ask(cmd, &a, release.Request{Kind: release.KindWaiver, Waiver: &w})
		},
	}
	f := c.Flags()
	f.StringVar(&w.Rule, "rule", "", "the rule")
	f.StringVar(&w.Artifact, "artifact", "", "name (with * for any run of characters) or digest; empty: any")
	f.StringVar(&w.Advisory, "advisory", "", "one hole, by any of its names")
	f.StringVar(&w.Package, "package", "", "one package, path or other thing that the rule names")
	f.StringSliceVar(&w.Environments, "env", nil, "environments (default: all)")
	f.StringVar(&w.Owner, "owner", "", "who answers for it")
	f.StringVar(&w.Reason, "reason", "", "why")
	f.StringVar(&until, "until", "", "when it ends: a day, an instant, or a time from now (30d)")
	f.Float64Var(&w.ScoreAbove, "score-above", 0, "end it when the score rises above this")
	f.BoolVar(&w.UntilFix, "until-fix", false, "end it when a fix is there")
	f.BoolVar(&w.UnlessExploited, "unless-exploited", false, "end it when the hole is known to be exploited")
	c.AddCommand(p.waiveImport(), p.waiveList(), p.waiveRevoke())
	return a.flags(c)
}

// ask opens a request and tells how it stands.
func (p *program) ask(cmd *cobra.Command, a *asked, r release.Request) error {
	return p.call(a, func(client *api.Client) error {
		got, err := client.Ask(cmd.Context(), r)
		if err != nil {
			return err
		}
		return p.tell(a, got, func(w io.Writer) {
			p.showRequest(w, got)
			if got.State == release.Open {
				fmt.Fprintf(w, "  somebody else says: touchstone approve %s\n", got.ID)
			}
		})
	})
}

func (p *program) waiveImport() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Ask for each waiver of a file; they are approved like any other",
		Args:  exactly(1, "a file of waivers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the waivers: %w", err)
			}
			return p.call(&a, func(client *api.Client) error {
				inForce, err := client.Rules(cmd.Context())
				if err != nil {
					return err
				}
				r, _, err := rules.Load("the server's rules", []byte(inForce.Source), p.now())
				if err != nil {
					return err
				}
				waivers, warnings, err := rules.LoadWaivers(args[0], data, r, p.now())
				if err != nil {
					return err
				}
				p.warn(warnings)
				opened := []release.Request{}
				for i := range waivers {
					got, err := client.Ask(cmd.Context(), release.Request{Kind: release.KindWaiver, Waiver: &waivers[i]})
					if err != nil {
						return fmt.Errorf("waiver %s: %w\nhint: %d of %d were asked for; the rest was not", plain(waivers[i].ID), err, i, len(waivers))
					}
					opened = append(opened, *got)
				}
				return p.tell(&a, opened, func(w io.Writer) { p.showRequests(w, opened) })
			})
		},
	}
	return a.flags(c)
}

func (p *program) waiveList() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "list",
		Short: "The waivers in force, the first to lapse first",
		Args:  exactly(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				all, err := list(func(at api.Paging) (*api.Page[touchstone.Waiver], error) { return client.Waivers(cmd.Context(), at) })
				if err != nil {
					return err
				}
				return p.tell(&a, all, func(w io.Writer) { p.showWaivers(w, all) })
			})
		},
	}
	return a.flags(c)
}

func (p *program) showWaivers(w io.Writer, all []touchstone.Waiver) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no waiver")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "UNTIL\tRULE\tFOR\tOWNER\tAPPROVED BY\tID\tREASON")
	for i := range all {
		v := &all[i]
		thing := v.Artifact
		for _, part := range []string{v.Advisory, v.Package} {
			if part != "" {
				thing += " " + part
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.moment(v.Until), plain(v.Rule), plain(thing), plain(v.Owner), plain(v.ApprovedBy), plain(v.ID), plain(v.Reason))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
}

func (p *program) waiveRevoke() *cobra.Command {
	return p.remarkCommand("revoke ID", "End a waiver before its time", "the id of a waiver", "revoked", (*api.Client).RevokeWaiver)
}
