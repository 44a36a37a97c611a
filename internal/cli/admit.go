package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
)

func (p *program) admitCommand() *cobra.Command {
	return group("admit", "The server at a cluster's door: install it, see what it would refuse, enforce",
		p.admitInstall(), p.admitUninstall(), p.admitStatus(), p.admitMode("enforce", true), p.admitMode("report", false))
}

func (p *program) admitStatus() *cobra.Command {
	var (
		a         asked
		namespace string
		owner     string
	)
	c := &cobra.Command{
		Use:   "status",
		Short: "What runs, and by owner what enforcement would refuse of it",
		Args:  exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				all, _, err := list(0, func(at api.Paging) (*api.Page[api.Workload], error) {
					return client.Running(cmd.Context(), namespace, owner, at)
				})
				if err != nil {
					return err
				}
				modes, err := client.Namespaces(cmd.Context(), "")
				if err != nil {
					return err
				}
				return p.tell(&a, all, func(w io.Writer) { p.showStatus(w, all, modes.Items) })
			})
		},
	}
	c.Flags().StringVar(&namespace, "namespace", "", "only this namespace")
	c.Flags().StringVar(&owner, "owner", "", "only what this owner answers for")
	return a.flags(c)
}

// showStatus tells by owner what the rules would refuse of what runs.
func (p *program) showStatus(w io.Writer, all []api.Workload, modes []gate.Mode) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing is known to run\nhint: a server that stands at a cluster's door looks: touchstone admit install")
		return
	}
	enforced := map[string]bool{}
	for i := range modes {
		enforced[modes[i].Namespace] = modes[i].Enforced
	}
	byOwner := map[string][]*api.Workload{}
	verdicts := map[touchstone.Verdict]int{}
	for i := range all {
		one := &all[i]
		verdicts[one.Verdict]++
		if one.Verdict != touchstone.Allowed || len(one.Findings) > 0 {
			owner := cmp.Or(one.Place.Owner, "nobody")
			byOwner[owner] = append(byOwner[owner], one)
		}
	}
	fmt.Fprintf(w, "%d containers run: %d would be allowed, %d refused, %d are undecided or unscanned\n", len(all),
		verdicts[touchstone.Allowed], verdicts[touchstone.Refused], len(all)-verdicts[touchstone.Allowed]-verdicts[touchstone.Refused])
	for _, owner := range slices.Sorted(maps.Keys(byOwner)) {
		fmt.Fprintf(w, "\n%s\n", plain(owner))
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		for _, one := range byOwner[owner] {
			mode := "reports"
			if enforced[one.Place.Namespace] {
				mode = "enforced"
			}
			fmt.Fprintf(t, "  %s\t%s %s\t%s\t%s\n", plain(one.Place.Namespace+" ("+mode+")"), plain(one.Workload.Kind), plain(one.Workload.Name), plain(one.Reference), plain(verdictOf(one)))
			for j := range one.Findings {
				f := &one.Findings[j]
				fmt.Fprintf(t, "  \t\t%s\tmend by %s\n", plain(f.Rule+" "+f.Thing), p.moment(f.Deadline))
			}
		}
		_ = t.Flush() // what is wrong with w is told by whoever made it
	}
}

// verdictOf is what something new would get where it runs, and why.
func verdictOf(one *api.Workload) string {
	switch {
	case one.Verdict == "" && one.Problem != "":
		return "unscanned: " + one.Problem
	case one.Verdict == "":
		return "unscanned"
	case len(one.Failing) > 0:
		return string(one.Verdict) + ": " + strings.Join(one.Failing, ", ")
	default:
		return string(one.Verdict)
	}
}

func (p *program) admitMode(use string, enforce bool) *cobra.Command {
	var (
		a   asked
		ask = api.ModeAsk{Enforce: enforce}
	)
	short := "Only tell what the rules refuse in a namespace, and let it in"
	if enforce {
		short = "Refuse in a namespace what the rules refuse; not while anything there is unscanned or undecided"
	}
	c := &cobra.Command{
		Use: use + " NAMESPACE", Short: short,
		Args: exactly(1, "a namespace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				got, err := client.SetMode(cmd.Context(), args[0], ask)
				if err != nil {
					return err
				}
				if err := p.tell(&a, got, func(w io.Writer) { showMode(w, args[0], got) }); err != nil {
					return err
				}
				if got.Mode.Enforced != enforce {
					return refused("")
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&ask.Cluster, "cluster", "", "the cluster (default: the server's own)")
	c.Flags().StringVar(&ask.Reason, "reason", "", "why")
	if enforce {
		c.Flags().BoolVar(&ask.Anyway, "anyway", false, "although something there is unscanned or undecided; recorded")
	}
	return a.flags(c)
}

func showMode(w io.Writer, namespace string, got *api.ModeAnswer) {
	for i := range got.InTheWay {
		one := &got.InTheWay[i]
		fmt.Fprintf(w, "in the way: %s %s runs %s: %s\n", plain(one.Workload.Kind), plain(one.Workload.Name), plain(one.Reference), plain(verdictOf(one)))
	}
	switch {
	case got.Mode.Enforced:
		fmt.Fprintf(w, "%s: enforced; what runs may restart, with a deadline for what the rules refuse of it\n", plain(namespace))
	case len(got.InTheWay) > 0:
		fmt.Fprintf(w, "%s: nothing was switched\nhint: wait for the scans (touchstone admit status), or --anyway, which is recorded\n", plain(namespace))
	default:
		fmt.Fprintf(w, "%s: report mode\n", plain(namespace))
	}
}
