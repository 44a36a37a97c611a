package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/report"
)

// askGuard are the flags of the commands that ask the guard of this machine.
type askGuard struct {
	socket string
	format string
}

func (a *askGuard) flags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.socket, "socket", filepath.Join("/run/touchstone", guard.SocketName), "the guard's socket")
	c.Flags().StringVarP(&a.format, "output", "o", "table", "output format: table, json")
	return c
}

func (a *askGuard) local() guard.Local { return guard.Local{Socket: a.socket} }

// tellGuard writes what the guard has answered, as people or programs read it.
func (p *program) tellGuard(a *askGuard, doc any, people func(io.Writer)) error {
	switch a.format {
	case "json":
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(doc)
	case "table":
		people(p.stdout)
		return nil
	default:
		return fmt.Errorf("-o %s: there is no such output format\nhint: table, json", a.format)
	}
}

func (p *program) guardStatus() *cobra.Command {
	var a askGuard
	c := &cobra.Command{
		Use:   "status",
		Short: "What the guard of this machine watches, and what is proven to work",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.local().Status(cmd.Context())
			if err != nil {
				return outside(err)
			}
			return p.tellGuard(&a, st, func(w io.Writer) { p.showGuard(w, st) })
		},
	}
	return a.flags(c)
}

func (p *program) showGuard(w io.Writer, st *guard.Status) {
	fmt.Fprintf(w, "guard of node %s since %s, rules %s as of %s\n\n", plain(st.Node), p.moment(st.Since), st.Rules.Short(), p.moment(st.RulesAt))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "LAYER\tIN THE KERNEL\tPROVEN\tPROBLEM")
	for _, l := range st.Layers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Name, yesNo(l.Attached), p.since(l.Proven, st.At), plain(l.Problem))
	}
	fmt.Fprintln(t, "\nWATCHED\tENVIRONMENT\tRUN-UNKNOWN\tCHANGE\tLOGIN\tMANIFEST\tDRIFT\tLOGINS\tPROBLEM")
	for i := range st.Subjects {
		s := &st.Subjects[i]
		manifest := "not known yet"
		if s.Manifest != "" {
			manifest = fmt.Sprintf("%d files, from %s", s.Files, s.Manifest)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", plain(whatRuns(&s.Running)), plain(s.Place.Environment),
			s.Actions[touchstone.RuleRunUnknown], s.Actions[touchstone.RuleChange], s.Actions[touchstone.RuleLogin],
			manifest, s.Drift, s.Logins, plain(s.Problem))
	}
	_ = t.Flush() // the writer below tells what is wrong with it
	for _, problem := range st.Problems {
		fmt.Fprintf(w, "\nproblem: %s", plain(problem))
	}
	if st.Unsent > 0 {
		fmt.Fprintf(w, "\n%d events wait for the server", st.Unsent)
	}
	if len(st.Last) > 0 {
		fmt.Fprintln(w, "\n\nLast events:")
	}
	for i := range st.Last {
		fmt.Fprintln(w, report.RuntimeLine(&st.Last[i]))
	}
}

func whatRuns(r *touchstone.Running) string {
	if r.Pod != "" {
		return strings.TrimSuffix(r.Namespace+"/"+r.Pod+"/"+r.Workload.Container, "/")
	}
	if len(r.ID) > 24 {
		return r.ID[:12]
	}
	return r.ID
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// since says how long ago something was.
func (p *program) since(t, now time.Time) string {
	if t.IsZero() {
		return "not yet"
	}
	return now.Sub(t).Truncate(time.Second).String() + " ago"
}

func (p *program) guardExplain() *cobra.Command {
	var a askGuard
	c := &cobra.Command{
		Use:   "explain EVENT",
		Short: "Why something was told, stopped or killed on this machine: an event by its id, or the beginning of it",
		Args:  exactly(1, "an event"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.local().Event(cmd.Context(), args[0])
			if err != nil {
				return outside(err)
			}
			return p.tellGuard(&a, e, func(w io.Writer) { _ = report.RuntimeEvent(w, e) })
		},
	}
	return a.flags(c)
}

func (p *program) guardDoctor() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "What this kernel allows a guard to see and to stop, and what is missing",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			a := askGuard{format: format}
			facts := guard.Doctor()
			return p.tellGuard(&a, facts, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, f := range facts.Facts {
					fmt.Fprintf(t, "%s\t%s\t%s\n", mark(f.OK), plain(f.Name), plain(f.Note))
				}
				_ = t.Flush() // the writer below tells what is wrong with it
				for _, s := range facts.Summary {
					fmt.Fprintf(w, "\n%s\n", plain(s))
				}
			})
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "table", "output format: table, json")
	return c
}

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}
