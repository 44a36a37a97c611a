package cli

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/rules"
)

func (p *program) dbCommand() *cobra.Command {
	return group("db", "The advisories: fetch, import, and what is there", p.dbUpdate(), p.dbImport(), p.dbStatus(), p.dbFind())
}

func (p *program) dbImport() *cobra.Command {
	var (
		asOf    string
		replace bool
	)
	c := &cobra.Command{
		Use:   "import [PATH…]",
		Short: "Take in advisories from files: OSV zips, folders and records, CVE records, CISA's list, EPSS",
		Long: `Take in advisories from files: OSV zips, folders and records, CVE 5.x records,
CISA's known exploited vulnerabilities and EPSS. What a file is, its content
tells. No network is used. Without a path the index is made again of what was
taken in before.`,
		Example: `  touchstone db import Debian/all.zip Go/all.zip cvelist.zip known_exploited_vulnerabilities.json
  touchstone db import --as-of 2026-11-23 mirror/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			when, err := moment(asOf)
			if err != nil {
				return err
			}
			if when.After(p.now().Add(24 * time.Hour)) { // time zones differ by less
				return fmt.Errorf("--as-of %s is a day to come: nothing can be current as of then", asOf)
			}
			p.watch()
			report, err := p.advisories().Import(cmd.Context(), args, advisory.ImportOptions{
				AsOf: when, Replace: replace, Now: p.now(), Progress: p.importing,
			})
			if err != nil {
				return outside(err)
			}
			return p.changed(&report)
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "when the files were current, YYYY-MM-DD or RFC 3339 (default: what they say themselves)")
	c.Flags().BoolVar(&replace, "replace", false, "let a source take the place of one that holds much more")
	return c
}

func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--as-of %s: neither a day like 2026-11-23 nor a moment like 2026-11-23T08:00:00Z", s)
}

func (p *program) importing(what string, done int64) {
	p.progress.show(p.now(), "%s: %d", rules.Printable(what), done)
}

// changed tells what an import or update came to.
func (p *program) changed(r *advisory.Report) error {
	p.progress.clear()
	if p.settings.quiet {
		return nil
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i := range r.Changed {
		c := &r.Changed[i]
		fmt.Fprintf(w, "%s\t%s\t%s\tconfirmed %s\n", c.Action, rules.Printable(c.Name), contents(&c.Source), date(c.Confirmed, "never"))
		for _, m := range c.First {
			fmt.Fprintf(w, "\tmalformed\t%s\t%s\n", rules.Printable(m.Name), rules.Printable(m.Reason))
		}
	}
	if err := w.Flush(); err != nil {
		return outside(err)
	}
	for _, name := range r.Ignored {
		p.note("ignored %s: it holds no advisories", rules.Printable(name))
	}
	fmt.Fprintf(p.stdout, "%d records of %d vulnerabilities, revision %s\n", r.Records, r.Holes, r.Revision.Short())
	return nil
}

// contents says how much a source holds.
func contents(s *advisory.Source) string {
	text := ""
	add := func(n int, what string) {
		if n > 0 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, what)
		}
	}
	add(s.Records, "OSV records")
	add(s.CVEs, "CVE records")
	add(s.Rows, "rows")
	add(s.Withdrawn, "withdrawn")
	add(s.Malformed, "malformed")
	if text == "" {
		return "nothing"
	}
	return text
}

func (p *program) dbStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say which advisories are there, and how current they are",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			s, err := p.advisories().Status()
			if err != nil {
				return outside(err)
			}
			if asJSON {
				return p.json(struct {
					Schema string `json:"schema"`
					advisory.Status
				}{advisory.Schema, s})
			}
			p.status(&s)
			if s.Index.Problem != "" {
				return &finding{code: ExitUndecided, message: s.Index.Problem + "\nhint: " + s.Index.Remedy}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// json writes a document for machines.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return outside(e.Encode(v))
}

func (p *program) status(s *advisory.Status) {
	if s.Index.Problem == "" {
		fmt.Fprintf(p.stdout, "%d records of %d vulnerabilities, %d MB, made %s, revision %s\n",
			s.Records, s.Holes, s.Size>>20, s.Index.Built.UTC().Format(time.RFC3339), s.Index.Revision.Short())
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for i := range s.Sources {
		src := &s.Sources[i]
		confirmed := "never confirmed current"
		if !src.Confirmed.IsZero() {
			confirmed = fmt.Sprintf("confirmed %s, %dh ago", src.Confirmed.UTC().Format(time.DateOnly), int(p.now().Sub(src.Confirmed).Hours()))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", rules.Printable(src.Name), contents(src), confirmed)
	}
	_ = w.Flush()
}

func (p *program) dbFind() *cobra.Command {
	return &cobra.Command{
		Use:     "find ID",
		Short:   "Say what is known of one vulnerability, by any of its names, and which packages it is in",
		Example: "  touchstone db find CVE-2024-3094",
		Args:    exactly(1, "the name of a vulnerability"),
		RunE: func(_ *cobra.Command, args []string) error {
			index, err := p.advisories().Index()
			if err != nil {
				return outside(err)
			}
			defer func() { _ = index.Close() }() // it was only read
			list, err := index.Find(args[0])
			if err != nil {
				return outside(err)
			}
			if len(list) == 0 {
				return fmt.Errorf("no advisory here is called %s\nhint: touchstone db status tells which are there", args[0])
			}
			return p.json(struct {
				Schema     string              `json:"schema"`
				Advisories []advisory.Advisory `json:"advisories"`
			}{"touchstone.dev/advisory/v1", list})
		},
	}
}
