package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
)

func (p *program) whereCommand() *cobra.Command {
	var (
		a       asked
		cluster string
		labels  map[string]string
	)
	c := &cobra.Command{
		Use:   "where NAMESPACE",
		Short: "Which place a namespace is, by which row of the rules, and whether they are enforced there",
		Args:  exactly(1, "a namespace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.call(&a, func(client *api.Client) error {
				got, err := client.Where(cmd.Context(), cluster, args[0], labels)
				if err != nil {
					return err
				}
				return p.tell(&a, got, func(w io.Writer) { showWhere(w, got) })
			})
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "", "the cluster (default: the server's own)")
	c.Flags().StringToStringVar(&labels, "label", nil, "labels to suppose, NAME=VALUE (default: those that the namespace has)")
	return a.flags(c)
}

func showWhere(w io.Writer, got *api.Where) {
	q := &got.Place
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"environment", q.Environment}, {"cluster", q.Cluster}, {"namespace", q.Namespace}, {"class", string(q.Class)},
		{"sensitivity", q.Sensitivity}, {"exposure", string(q.Exposure)}, {"impact", string(q.Impact)}, {"owner", q.Owner},
	} {
		if row[1] != "" {
			fmt.Fprintf(t, "%s\t%s\n", row[0], plain(row[1]))
		}
	}
	_ = t.Flush() // the writer below tells what is wrong with it
	if got.Row > 0 {
		fmt.Fprintf(w, "by row %d of places\n", got.Row)
	}
	for _, s := range q.Assumed {
		fmt.Fprintf(w, "assumed: %s\n", plain(s))
	}
	if got.Enforced {
		fmt.Fprintln(w, "the rules are enforced here")
		return
	}
	fmt.Fprintln(w, "report mode: what the rules refuse is told, and let in")
}
