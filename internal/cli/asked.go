package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/rules"
)

// asked is a command that calls a server and tells the answer.
type asked struct {
	connection
	format string
}

// serverUsage leaves the flags out that are about judging here.
const serverUsage = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}

touchstone --help lists the flags that every command has.
`

func (a *asked) flags(c *cobra.Command) *cobra.Command {
	a.connection.flags(c.Flags())
	c.Flags().StringVarP(&a.format, "output", "o", "table", "output format: table, json")
	c.SetUsageTemplate(serverUsage)
	return c
}

// misused marks an error as the caller's, although a server was asked before.
type misused struct{ error }

// call asks the server. What fails on the way is nobody's wrong usage.
func (p *program) call(a *asked, do func(*api.Client) error) error {
	if a.format != "table" && a.format != "json" {
		return fmt.Errorf("-o %s: there is no such output format\nhint: table, json", a.format)
	}
	client, err := p.connect(&a.connection)
	if err != nil {
		return err
	}
	return answered(do(client))
}

// answered sorts what asking a server came to: a finding stays one, what the
// server says of the call is wrong usage, and all else lies outside.
func answered(err error) error {
	var done *finding
	var wrong misused
	var problem *api.ProblemError
	switch {
	case errors.As(err, &done), errors.As(err, &wrong):
		return err
	case errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests && problem.Status != http.StatusRequestTimeout:
		return err
	default:
		return outside(err)
	}
}

// tell writes the answer as people or programs read it.
func (p *program) tell(a *asked, doc any, people func(io.Writer)) error {
	p.progress.clear()
	if a.format == "json" {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(doc)
	}
	people(p.stdout)
	return nil
}

// list goes through a list, page by page, and returns its first items; most 0 is
// for all of them. more says that there would be others.
func list[T any](most int, page func(api.Paging) (*api.Page[T], error)) (items []T, more bool, err error) {
	const largest = 1000
	items = []T{}
	for item, err := range api.All(func(at api.Paging) (*api.Page[T], error) {
		at.Limit = largest
		if most > 0 {
			at.Limit = min(most+1, largest)
		}
		return page(at)
	}) {
		switch {
		case err != nil:
			return nil, false, err
		case most > 0 && len(items) == most:
			return items, true, nil
		}
		items = append(items, item)
	}
	return items, false, nil
}

// listing is what a command shows that lists what a server has.
type listing[T any] struct {
	use, short, example string
	args                cobra.PositionalArgs
	last                int    // how many of the newest, where nobody says; 0 for a list that is told whole
	empty               string // what is said of an empty list
	head                string // the names of the columns, with tabs between them
	page                func(*cobra.Command, *api.Client, []string, api.Paging) (*api.Page[T], error)
	row                 func(*T) []string
	// one is for a command that also tells one item whole: whether the argument
	// names it, and how it is got and shown.
	names func(string) bool
	one   func(*cobra.Command, *api.Client, string) (doc any, people func(io.Writer), err error)
}

// listCommand makes the command of a listing.
func listCommand[T any](p *program, l listing[T]) *cobra.Command {
	var a asked
	last := l.last
	c := &cobra.Command{
		Use: l.use, Short: l.short, Example: l.example, Args: l.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if last < 0 {
				return fmt.Errorf("--last %d: want a number of lines, or 0 for all", last)
			}
			return p.call(&a, func(client *api.Client) error {
				if l.one != nil && len(args) == 1 && l.names(args[0]) {
					doc, people, err := l.one(cmd, client, args[0])
					if err != nil {
						return err
					}
					return p.tell(&a, doc, people)
				}
				items, more, err := list(last, func(at api.Paging) (*api.Page[T], error) { return l.page(cmd, client, args, at) })
				if err != nil {
					return err
				}
				if more {
					p.note("older ones are left out: --last 0 shows all")
				}
				return p.tell(&a, items, func(w io.Writer) { tabulate(w, items, l.empty, l.head, l.row) })
			})
		},
	}
	if c.Args == nil {
		c.Args = exactly(0, "no argument")
	}
	if l.last > 0 {
		c.Flags().IntVar(&last, "last", l.last, "how many of the newest; 0 for all")
	}
	return a.flags(c)
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
			if reason == "" {
				return fmt.Errorf("%s wants --reason: it stands in the record", cmd.CommandPath())
			}
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

// tabulate writes a row for each item below the names of the columns. What strangers
// named is escaped here.
func tabulate[T any](w io.Writer, items []T, empty, head string, row func(*T) []string) {
	if len(items) == 0 {
		fmt.Fprintln(w, empty)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for i := range items {
		cells := row(&items[i])
		for j := range cells {
			cells[j] = plain(cells[j])
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush() // what is wrong with w is told by whoever made it
}

// choice refuses a value that is none of those there are; an empty one is no
// choice.
func choice(flag, value string, of ...string) error {
	if value == "" || slices.Contains(of, value) {
		return nil
	}
	return fmt.Errorf("--%s %s: there is no such thing\nhint: one of %s", flag, value, strings.Join(of, ", "))
}

// first is the first argument, or nothing.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// plain escapes what strangers named.
func plain(s string) string { return rules.Printable(s) }
