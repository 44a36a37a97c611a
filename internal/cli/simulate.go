package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/release"
)

func (p *program) simulateCommand() *cobra.Command {
	var (
		a    asked
		ask  api.SimulationAsk
		at   string
		file string
	)
	c := &cobra.Command{
		Use:   "simulate --rules FILE | --advisories",
		Short: "What other rules or advisories would newly refuse or allow, of what runs and was decided",
		Long: `What other rules or advisories would newly refuse or allow, of everything known to
run and of the last decisions, by owner. Nothing is changed.

Exit codes: 0 nothing would be newly refused, 1 something would be.`,
		Example: `  touchstone simulate --rules new.yaml
  touchstone simulate --rules new.yaml --at 2027-02-01`,
		Args: exactly(0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file = p.settings.rules
			if (file == "") == !ask.Advisories {
				return errors.New("simulate wants --rules FILE or --advisories")
			}
			if file != "" {
				data, err := readFile(file)
				if err != nil {
					return fmt.Errorf("reading the rules: %w", err)
				}
				ask.Rules = string(data)
			}
			var err error
			if at != "" {
				if ask.At, err = p.when("at", at); err != nil {
					return err
				}
			}
			return p.call(&a, func(client *api.Client) error {
				s, err := client.Simulate(cmd.Context(), ask)
				if err != nil {
					return err
				}
				if err := p.tell(&a, s, func(w io.Writer) { p.showSimulation(w, s) }); err != nil {
					return err
				}
				if len(s.Refused) > 0 {
					return refused("")
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&ask.Advisories, "advisories", false, "try the advisories that the server has now, against those that were decided on")
	c.Flags().StringVar(&at, "at", "", "as of a moment to come: a day, an instant, or a time from now")
	c.Flags().IntVar(&ask.Last, "last", 0, "how many past decisions to try (default: 1,000)")
	return a.flags(c)
}

func (p *program) showSimulation(w io.Writer, s *gate.Simulation) {
	fmt.Fprintf(w, "tried on %d that run and %d past decisions, as of %s\n", s.Running, s.Decisions, p.moment(s.At))
	showChanges(w, "would newly be refused", s.Refused)
	showChanges(w, "would newly be allowed", s.Allowed)
	if len(s.Refused)+len(s.Allowed) == 0 {
		fmt.Fprintln(w, "nothing would change")
	}
}

func showChanges(w io.Writer, what string, owners []gate.OwnerChanges) {
	for _, o := range owners {
		fmt.Fprintf(w, "\n%s, %d of %s\n", what, len(o.Changes), plain(o.Owner))
		for i := range o.Changes {
			c := &o.Changes[i]
			thing := c.Place.Environment
			if c.Workload.Name != "" {
				thing += " " + c.Place.Namespace + " " + c.Workload.Kind + " " + c.Workload.Name
			}
			fmt.Fprintf(w, "  %s  %s: %s, now %s (%s)\n", plain(c.Artifact), plain(thing), c.To, c.From, plain(strings.Join(c.Rules, ", ")))
		}
	}
}

// rulesApply asks a server to change its rules.
func (p *program) rulesApply() *cobra.Command {
	var (
		a    asked
		from string
		yes  bool
	)
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Ask a server to judge by these rules: simulated first, in force once another person approved",
		Args:  exactly(1, "a rules file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the rules: %w", err)
			}
			ask := release.RulesAsk{Source: string(data)}
			if from != "" {
				if ask.From, err = p.when("from", from); err != nil {
					return err
				}
			}
			if !yes {
				err := p.call(&a, func(client *api.Client) error {
					s, err := client.Simulate(cmd.Context(), api.SimulationAsk{Rules: ask.Source, At: ask.From})
					if err != nil {
						return err
					}
					p.showSimulation(p.stderr, s)
					return nil
				})
				if err != nil {
					return err
				}
			}
			return p.ask(cmd, &a, release.Request{Kind: release.KindRules, Rules: &ask})
		},
	}
	c.Flags().StringVar(&from, "from", "", "when they begin: a day, an instant, or a time from now (default: when approved)")
	c.Flags().BoolVar(&yes, "no-simulation", false, "do not show what would change before asking")
	return a.flags(c)
}
