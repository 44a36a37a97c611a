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
		a   asked
		ask api.SimulationAsk
		at  string
	)
	c := &cobra.Command{
		Use:   "simulate --rules FILE | --request ID | --advisories",
		Short: "What other rules, a waiver or advisories would newly refuse or allow",
		Long: `What other rules, a waiver or advisories would newly refuse or allow, of everything
known to run and of the last decisions, by owner. Nothing is changed.

Exit codes: 0 nothing would be newly refused, 1 something would be.`,
		Example: `  touchstone simulate --rules new.yaml
  touchstone simulate --rules new.yaml --at 2027-02-01
  touchstone simulate --request 01JDC9T3Z1V6W0Q4N8R5K7M2XA    # what approving it would change`,
		Args: exactly(0, "flags alone"),
	}
	var request string
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if at != "" {
			if ask.At, err = p.begin("at", at); err != nil {
				return err
			}
		}
		if err := p.simulated(&ask, request); err != nil {
			return fmt.Errorf("%w\nhint: %s", err, cmd.UseLine())
		}
		return p.call(&a, func(client *api.Client) error {
			if request != "" {
				if err := asRequested(cmd, client, request, &ask); err != nil {
					return err
				}
			}
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
	}
	c.Flags().StringVar(&request, "request", "", "try the rules or the waiver that this request asks for")
	c.Flags().BoolVar(&ask.Advisories, "advisories", false, "try the advisories that the server has now, against those that were decided on")
	c.Flags().StringVar(&at, "at", "", "as of a moment to come: a day, an instant, or a time from now")
	c.Flags().IntVar(&ask.Last, "last", 0, "how many past decisions to try (default: 1,000)")
	return a.flags(c)
}

// simulated fills in what is tried, but for what a request asks for.
func (p *program) simulated(ask *api.SimulationAsk, request string) error {
	file := p.settings.rules
	switch {
	case request != "" && ask.Advisories, file == "" && request == "" && !ask.Advisories:
		return errors.New("simulate wants one of --rules FILE, --request ID and --advisories")
	case request != "" || ask.Advisories:
		if file != "" {
			p.note("%s is ignored: another thing is tried", file)
		}
		return nil
	}
	data, err := readFile(file)
	if err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	ask.Rules = string(data)
	return nil
}

// asRequested fills in what a request asks for.
func asRequested(cmd *cobra.Command, client *api.Client, id string, ask *api.SimulationAsk) error {
	r, err := client.Request(cmd.Context(), id)
	switch {
	case err != nil:
		return err
	case r.Rules != nil:
		ask.Rules = r.Rules.Source
		if ask.At.IsZero() && r.Rules.From.After(r.At) {
			ask.At = r.Rules.From
		}
	case r.Waiver != nil:
		ask.Waiver = r.Waiver
	default:
		return misused{errors.New("the request asks for a " + string(r.Kind) + ", and rules or a waiver can be simulated\nhint: touchstone promote --dry-run says what a promotion would come to")}
	}
	return nil
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
		owner := o.Owner
		if owner == "" {
			owner = "nobody"
		}
		fmt.Fprintf(w, "\n%s, %d of %s\n", what, len(o.Changes), plain(owner))
		for i := range o.Changes {
			c := &o.Changes[i]
			thing := strings.Join(strings.Fields(c.Place.Environment+" "+c.Place.Namespace+" "+c.Workload.Kind+" "+c.Workload.Name), " ")
			fmt.Fprintf(w, "  %s  %s: %s today, then %s (%s)\n", plain(c.Artifact), plain(thing), c.From, c.To, plain(strings.Join(c.Rules, ", ")))
		}
	}
}

// rulesApply asks a server to change its rules.
func (p *program) rulesApply() *cobra.Command {
	var (
		a     asked
		from  string
		blind bool
	)
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Ask a server to judge by these rules: simulated first, in force once another person approved",
		Long: `Ask a server to judge by these rules. What they would change is shown first; they
are in force once another person has approved them (touchstone approve ID), and
not before --from.`,
		Example: "  touchstone rules apply touchstone.yaml --from 2027-02-01",
		Args:    exactly(1, "a rules file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the rules: %w", err)
			}
			ask := release.RulesAsk{Source: string(data)}
			if from != "" {
				if ask.From, err = p.begin("from", from); err != nil {
					return err
				}
			}
			return p.ask(cmd, &a, func(client *api.Client) (*release.Request, error) {
				if !blind {
					s, err := client.Simulate(cmd.Context(), api.SimulationAsk{Rules: ask.Source, At: ask.From})
					if err != nil {
						return nil, err
					}
					p.showSimulation(p.stderr, s)
					fmt.Fprintln(p.stderr)
				}
				return &release.Request{Kind: release.KindRules, Rules: &ask}, nil
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "when they begin: a day, an instant, or a time from now (default: when approved)")
	c.Flags().BoolVar(&blind, "no-simulation", false, "do not show what would change before asking")
	return a.flags(c)
}
