package cli

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
)

func (p *program) logCommand() *cobra.Command {
	return group("log", "The record of a server: everything that happened, chained by hash", p.logVerify(), p.logList(), p.logCheckpoint())
}

func (p *program) logVerify() *cobra.Command {
	var (
		a    asked
		note string
	)
	c := &cobra.Command{
		Use:   "verify",
		Short: "Find any change, gap or reordering of the log",
		Long: `Find any change, gap or reordering of the log, and with a checkpoint that was kept
elsewhere also an end that was cut off. Exit code 1 when anything is wrong.`,
		Args: exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var kept string
			if note != "" {
				data, err := os.ReadFile(note)
				if err != nil {
					return fmt.Errorf("reading the checkpoint: %w", err)
				}
				kept = string(data)
			}
			return p.call(&a, func(client *api.Client) error {
				v, err := client.VerifyLog(cmd.Context(), kept)
				if err != nil {
					return err
				}
				if err := p.tell(&a, v, func(w io.Writer) { showVerification(w, v) }); err != nil {
					return err
				}
				if !v.OK {
					return refused("")
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&note, "checkpoint", "", "file with a checkpoint that was kept elsewhere")
	return a.flags(c)
}

func showVerification(w io.Writer, v *record.Verification) {
	if v.OK {
		fmt.Fprintf(w, "the log verifies: %d entries, %d bodies, %d bodies removed by retention\n", v.Entries, v.Bodies, v.Removed)
		return
	}
	fmt.Fprintf(w, "the log does NOT verify, %d entries read:\n", v.Entries)
	for _, fault := range v.Faults {
		fmt.Fprintf(w, "  %s\n", plain(fault))
	}
}

func (p *program) logCheckpoint() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "The latest signed checkpoint, to be kept elsewhere",
		Args:  exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				point, err := client.Checkpoint(cmd.Context())
				if err != nil {
					return err
				}
				return p.tell(&a, point, func(w io.Writer) { fmt.Fprint(w, point.Note) })
			})
		},
	}
	return a.flags(c)
}

func (p *program) logList() *cobra.Command {
	var (
		a           asked
		kind, about string
		last        int
	)
	c := &cobra.Command{
		Use:   "list",
		Short: "The entries of the log, in order",
		Args:  exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				all := []api.Entry{}
				for e, err := range api.All(func(at api.Paging) (*api.Page[api.Entry], error) { return client.Log(cmd.Context(), kind, about, at) }) {
					if err != nil {
						return err
					}
					if all = append(all, e); last > 0 && len(all) > last {
						all = all[1:]
					}
				}
				return p.tell(&a, all, func(w io.Writer) { p.showEntries(w, all) })
			})
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "only of this kind, such as decision or promotion")
	c.Flags().StringVar(&about, "about", "", "only about this")
	c.Flags().IntVar(&last, "last", 0, "only so many of the end (default: all)")
	return a.flags(c)
}

func (p *program) showEntries(w io.Writer, all []api.Entry) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SEQ\tWHEN\tKIND\tWHO\tABOUT")
	for i := range all {
		e := &all[i]
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", e.Seq, p.moment(e.Time), plain(e.Kind), plain(e.Actor), plain(e.About))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
}
