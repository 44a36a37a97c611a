package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
)

func (p *program) freezeCommand() *cobra.Command {
	var (
		a           asked
		f           touchstone.Freeze
		from, until string
	)
	c := &cobra.Command{
		Use:   "freeze ENVIRONMENT… --until WHEN --reason WHY",
		Short: "Let nothing new into environments until a moment",
		Long: `Let nothing new into environments until a moment, where the rules have a row
"frozen". What runs may restart, and what is better than what runs may come in
where the row "improves" says so. Freezes that recur, and windows, are in the
rules file.`,
		Example: `  touchstone freeze prod --until 2027-01-03 --reason "end of the year"
  touchstone freeze list
  touchstone freeze thaw 01JDC9T3Z1V6W0Q4N8R5K7M2XA --reason "over early"`,
		Args: atLeast(1, "environments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if until == "" || f.Reason == "" {
				return errors.New("a freeze needs --until and --reason")
			}
			var err error
			f.Environments = args
			if f.Until, err = p.when("until", until); err != nil {
				return err
			}
			if from != "" {
				if f.From, err = p.when("from", from); err != nil {
					return err
				}
			}
			return p.call(&a, func(client *api.Client) error {
				got, err := client.Freeze(cmd.Context(), f)
				if err != nil {
					return err
				}
				return p.tell(&a, got, func(w io.Writer) { p.showFreezes(w, []touchstone.Freeze{*got}) })
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "when it begins (default: now)")
	c.Flags().StringVar(&until, "until", "", "when it ends: a day, an instant, or a time from now (3d, 4h)")
	c.Flags().StringVar(&f.Reason, "reason", "", "why")
	c.Flags().StringVar(&f.Owner, "owner", "", "who answers for it")
	c.AddCommand(p.freezeList(), p.remarkCommand("thaw ID", "End a freeze before its time", "the id of a freeze", "thawed", (*api.Client).Thaw))
	return a.flags(c)
}

func (p *program) freezeList() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "list",
		Short: "The freezes that people have declared, past ones left out",
		Args:  exactly(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				all, err := list(func(at api.Paging) (*api.Page[touchstone.Freeze], error) { return client.Freezes(cmd.Context(), at) })
				if err != nil {
					return err
				}
				return p.tell(&a, all, func(w io.Writer) { p.showFreezes(w, all) })
			})
		},
	}
	return a.flags(c)
}

func (p *program) showFreezes(w io.Writer, all []touchstone.Freeze) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no freeze")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tENVIRONMENTS\tFROM\tUNTIL\tOWNER\tREASON")
	for i := range all {
		f := &all[i]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", f.ID, plain(strings.Join(f.Environments, ", ")), p.moment(f.From), p.moment(f.Until), plain(f.Owner), plain(f.Reason))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
}

// remarkCommand is a command that ends something, with a reason.
func (p *program) remarkCommand(use, short, what, done string, act func(*api.Client, context.Context, string, string) error) *cobra.Command {
	var (
		a      asked
		reason string
	)
	c := &cobra.Command{
		Use: use, Short: short,
		Args: exactly(1, what),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				if err := act(client, cmd.Context(), args[0], reason); err != nil {
					return err
				}
				return p.tell(&a, map[string]string{"id": args[0], "state": done}, func(w io.Writer) {
					fmt.Fprintf(w, "%s %s\n", done, plain(args[0]))
				})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why")
	return a.flags(c)
}
