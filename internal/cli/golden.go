package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) goldenCommand() *cobra.Command {
	return group("golden", "The approved bases that images may stand on", p.goldenAdd(), p.goldenList(), p.goldenRemove())
}

func (p *program) goldenAdd() *cobra.Command {
	var (
		open    opening
		owner   string
		expires string
	)
	c := &cobra.Command{
		Use:   "add IMAGE --owner WHO",
		Short: "Inspect a base, judge it by the golden rules, and approve it",
		Long: `Inspect a base, judge it by the golden rules, and approve it.

The golden rules are the cells "golden" in the rules file; a row about holes,
secrets or ignorance without such a cell asks what it asks of the last
environment. A base that they refuse is not approved, and the exit code is 1.`,
		Example: "  touchstone golden add registry.example/base/debian:12 --owner team-base --expires 90d",
		Args:    exactly(1, "a base to approve"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if owner == "" {
				return errors.New("golden add wants --owner: one base has one owner")
			}
			t, err := p.loadRules()
			if err != nil {
				return err
			}
			end, err := p.expiry(expires)
			if err != nil {
				return err
			}
			o, err := p.openOptions(open)
			if err != nil {
				return err
			}
			return p.withGate(t, func(g *gate.Gate) error {
				all, err := g.Inspect(cmd.Context(), args[0], o)
				if err != nil {
					return openFailed(cmd.Context(), err)
				}
				for _, one := range all {
					if err := p.bless(cmd, g, t, one, owner, end); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	open.flags(c.Flags())
	c.Flags().StringVar(&owner, "owner", "", "who answers for the base")
	c.Flags().StringVar(&expires, "expires", "90d", "when the approval ends: a day (2027-01-31) or an age (90d); never: no end")
	return c
}

// expiry reads until when an approval holds; zero is for ever.
func (p *program) expiry(s string) (time.Time, error) {
	if s == "never" {
		return time.Time{}, nil
	}
	return p.end("expires", s)
}

// bless judges one platform of a base, and approves it if the rules allow it.
func (p *program) bless(cmd *cobra.Command, g *gate.Gate, t *table, one gate.Inspected, owner string, end time.Time) error {
	doc := g.Bless(cmd.Context(), one)
	if doc.Verdict() != touchstone.Allowed {
		if err := p.write([]output{{format: "table"}}, func(w io.Writer, format string, o report.Options) error {
			return report.Write(w, format, doc, o)
		}); err != nil {
			return err
		}
		return verdictExit(doc.Verdict(), false, false)
	}
	base, err := gate.Base(one, owner, p.now().UTC().Truncate(time.Second), end)
	if err != nil {
		return err
	}
	bases := p.goldenBases(t)
	if err := bases.Add(base); err != nil {
		return outside(err)
	}
	until := "without an end"
	if !end.IsZero() {
		until = "until " + end.Format(time.DateOnly)
	}
	fmt.Fprintf(p.stdout, "approved %s (%d layers), owner %s, %s, in %s\n", base.Name, len(base.Chain), owner, until, bases.Path())
	return nil
}

func (p *program) goldenList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the approved bases",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			t, _, err := p.readRules()
			if err != nil {
				return err
			}
			bases := p.goldenBases(t)
			list, err := bases.List()
			if err != nil {
				return outside(err)
			}
			if len(list) == 0 {
				fmt.Fprintf(p.stdout, "no base is approved in %s\n", bases.Path())
				return nil
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "BASE\tDIGEST\tLAYERS\tOWNER\tBUILT\tAPPROVED\tEXPIRES")
			for i := range list {
				b := &list[i]
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", b.Name, b.Digest.Short(), len(b.Chain), b.Owner,
					date(b.Created, "unknown"), date(b.Added, "unknown"), p.expired(b.Expires))
			}
			return w.Flush()
		},
	}
}

func date(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format(time.DateOnly)
}

func (p *program) expired(t time.Time) string {
	s := date(t, "never")
	if !t.IsZero() && !p.now().Before(t) {
		s += " (expired)"
	}
	return s
}

func (p *program) goldenRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME|DIGEST",
		Short: "Withdraw an approval",
		Args:  exactly(1, "the name or digest of an approved base"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, _, err := p.readRules()
			if err != nil {
				return err
			}
			removed, err := p.goldenBases(t).Remove(args[0])
			if err != nil {
				return err
			}
			for i := range removed {
				fmt.Fprintf(p.stdout, "%s (%s) is no longer approved\n", removed[i].Name, removed[i].Digest.Short())
			}
			return nil
		},
	}
}
