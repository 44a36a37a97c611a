package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

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

// bookkeeping are the entries that keep what a call came to, in case it is made
// again. People look for what it did.
const bookkeeping = "idempotency"

func (p *program) logList() *cobra.Command {
	var kind, about string
	c := listCommand(p, listing[api.Entry]{
		use: "list", short: "The entries of the log, the newest first", last: 25,
		example: `  touchstone log list --kind promotion
  touchstone log list --about registry.example/shop/cart@sha256:…`,
		empty: "no such entry", head: "SEQ\tWHEN\tKIND\tWHO\tABOUT",
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[api.Entry], error) {
			got, err := client.NewestLog(cmd.Context(), kind, about, at)
			if err == nil && kind != bookkeeping {
				got.Items = slices.DeleteFunc(got.Items, func(e api.Entry) bool { return e.Kind == bookkeeping })
			}
			return got, err
		},
		row: func(e *api.Entry) []string {
			return []string{strconv.FormatUint(e.Seq, 10), p.moment(e.Time), e.Kind, e.Actor, e.About}
		},
	})
	c.Flags().StringVar(&kind, "kind", "", "only of this kind, such as decision or promotion (the kind idempotency is told only so)")
	c.Flags().StringVar(&about, "about", "", "only about this")
	return c
}

func (p *program) backupCommand() *cobra.Command {
	var a asked
	c := &cobra.Command{
		Use:   "backup",
		Short: "Have a server write a backup of its record, on its own disk and while it runs",
		Long: `Have a server write a backup of its record, on its own disk and while it runs.
touchstone serve restore puts one back. Keys and certificate are not in it: keep
log.key elsewhere too.`,
		Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.call(&a, func(client *api.Client) error {
				b, err := client.Backup(cmd.Context())
				if err != nil {
					return err
				}
				return p.tell(&a, b, func(w io.Writer) {
					fmt.Fprintf(w, "%s\n", plain(b.Path))
					p.note("%d bytes, on the disk of the server, as of %s", b.Bytes, p.moment(b.At))
				})
			})
		},
	}
	return a.flags(c)
}
