package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/rules"
)

func (p *program) rulesCommand() *cobra.Command {
	return group("rules", "The rules of the road: the table, its errors, its test cases", p.rulesShow(), p.rulesCheck(), p.rulesTest(), p.rulesExample(), p.rulesApply())
}

func (p *program) rulesShow() *cobra.Command {
	var (
		markdown bool
		served   connection
	)
	c := &cobra.Command{
		Use:   "show",
		Short: "Print the table as people read it; with --server the server's",
		Args:  exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := p.rulesOf(cmd.Context(), &served)
			if err != nil {
				return err
			}
			if markdown {
				return rules.ShowMarkdown(p.stdout, r)
			}
			o := p.reportOptions(true)
			return rules.Show(p.stdout, r, o.Width, o.Color)
		},
	}
	served.flags(c.Flags())
	c.Flags().BoolVar(&markdown, "markdown", false, "as Markdown, for a page that everybody reads")
	return c
}

// rulesOf are the rules of the server that is named, else those found here.
func (p *program) rulesOf(ctx context.Context, served *connection) (*touchstone.Rules, error) {
	if served.url == "" {
		t, err := p.loadRules()
		if err != nil {
			return nil, err
		}
		return t.rules, nil
	}
	p.ignored()
	client, err := p.connect(served)
	if err != nil {
		return nil, err
	}
	got, err := client.Rules(ctx)
	if err != nil {
		return nil, answered(err)
	}
	r, warnings, err := rules.Load("the server's rules", []byte(got.Source), p.now())
	p.warn(warnings)
	return r, outside(err)
}

func (p *program) rulesCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Find errors in the rules and waivers, each with its line",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			t, err := p.loadRules()
			if err != nil {
				return err
			}
			name := t.path
			if name == "" {
				name = "the built-in example"
			}
			fmt.Fprintf(p.stdout, "%s: %d rules for %d environments, no errors; %d waivers\n", name, len(t.rules.Rows), len(t.rules.Environments), len(t.waivers))
			return nil
		},
	}
}

func (p *program) rulesTest() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "test",
		Short: "Run the cases that a team keeps beside its rules",
		Args:  exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			t, err := p.loadRules()
			if err != nil {
				return err
			}
			if file == "" {
				file = filepath.Join(filepath.Dir(t.path), rules.DefaultCases)
			}
			data, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there are no cases: %s does not exist\nhint: docs/rules.md shows how to write some", file)
			}
			if err != nil {
				return fmt.Errorf("reading the cases: %w", err)
			}
			cases, err := rules.LoadCases(file, data, t.rules, p.now())
			if err != nil {
				return err
			}
			failed := 0
			for _, r := range rules.RunCases(t.rules, cases) {
				fmt.Fprint(p.stdout, r)
				if !r.OK() {
					failed++
				}
			}
			if failed > 0 {
				return refused(fmt.Sprintf("%d of %d cases failed", failed, len(cases)))
			}
			fmt.Fprintf(p.stdout, "%d cases, all as expected\n", len(cases))
			return nil
		},
	}
	c.Flags().StringVar(&file, "cases", "", "file of cases (default: "+rules.DefaultCases+" beside the rules)")
	return c
}

func (p *program) rulesExample() *cobra.Command {
	return &cobra.Command{
		Use:     "example",
		Short:   "Print the built-in example, to begin from",
		Example: "  touchstone rules example > touchstone.yaml",
		Args:    exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			_, err := p.stdout.Write(rules.Example())
			return err
		},
	}
}
