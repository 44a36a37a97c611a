package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/wholefile"
)

func (p *program) baselineCommand() *cobra.Command {
	var (
		open  opening
		terms gate.Terms
		until string
		write bool
	)
	c := &cobra.Command{
		Use:   "baseline --env ENV --until DATE --owner WHO IMAGE…",
		Short: "Turn today's failures into waivers that lapse: from now on only new ones refuse",
		Long: `Turn today's failures into waivers that lapse: from now on only new ones refuse.

Each waiver names one hole of one package, or one thing, of one repository. The
waiver of a hole ends when its score rises. They are printed, or with --write
added to the file of waivers.`,
		Example: "  touchstone baseline --env prod --until 2027-01-31 --owner team-shop --write registry.example/shop/cart:1.4",
		Args:    atLeast(1, "at least one artifact"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := p.loadRules()
			if err != nil {
				return err
			}
			if terms.Until, err = p.terms(&terms, t, until); err != nil {
				return err
			}
			var all []touchstone.Waiver
			err = p.withGate(t, func(g *gate.Gate) error {
				all, err = p.baseline(cmd, g, open, terms, args)
				return err
			})
			if err != nil {
				return err
			}
			return p.keepWaivers(t, all, write)
		},
	}
	open.flags(c.Flags())
	c.Flags().StringVar(&terms.Environment, "env", "", "the environment whose failures are waived")
	c.Flags().StringVar(&until, "until", "", "the last day that the waivers hold, YYYY-MM-DD")
	c.Flags().StringVar(&terms.Owner, "owner", "", "who answers for them")
	c.Flags().StringVar(&terms.ApprovedBy, "approved-by", "", "who approved them, where the rules ask for that")
	c.Flags().StringVar(&terms.Reason, "reason", "there before the rules were; to be mended by then", "why")
	c.Flags().BoolVar(&write, "write", false, "add them to the file of waivers instead of printing them")
	return c
}

// terms checks what the waivers have in common.
func (p *program) terms(terms *gate.Terms, t *table, until string) (time.Time, error) {
	switch {
	case terms.Environment == "":
		return time.Time{}, errors.New("baseline wants --env: the environment whose failures are waived")
	case terms.Owner == "":
		return time.Time{}, errors.New("baseline wants --owner: who answers for the waivers")
	case until == "":
		return time.Time{}, errors.New("baseline wants --until: the last day that the waivers hold")
	}
	if err := knownEnvironment(t.rules, terms.Environment); err != nil {
		return time.Time{}, err
	}
	last, err := time.Parse(time.DateOnly, until)
	if err != nil {
		return time.Time{}, fmt.Errorf("--until %s: not a day like 2027-01-31", until)
	}
	end := last.AddDate(0, 0, 1) // the whole of the last day, UTC
	if !end.After(p.now()) {
		return time.Time{}, fmt.Errorf("--until %s has passed", until)
	}
	return end, nil
}

func (p *program) baseline(cmd *cobra.Command, g *gate.Gate, open opening, terms gate.Terms, refs []string) ([]touchstone.Waiver, error) {
	var all []touchstone.Waiver
	o, err := p.openOptions(open)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		place := g.Rules.PlaceIn(terms.Environment)
		doc, err := g.Check(cmd.Context(), gate.Ask{Reference: ref, Open: o, Place: &place})
		if err != nil {
			return nil, openFailed(cmd.Context(), err)
		}
		if doc.Verdict() == touchstone.Undecided {
			return nil, outside(fmt.Errorf("%s is undecided: %s\nhint: a baseline of what could not be judged would waive nothing", ref, doc.Decision.Reasons[0].Seen))
		}
		if doc.Artifact.Name == "" && doc.Artifact.Digest == "" {
			return nil, fmt.Errorf("%s has neither a name nor a digest that a waiver could be for\nhint: --as NAME says what it is called", ref)
		}
		waivers, left := gate.Baseline(g.Rules, doc, terms)
		for _, why := range left {
			p.note("%s: %s is never waived: %s", ref, why.Rule, why.Seen)
		}
		all = append(all, waivers...)
	}
	return all, nil
}

// keepWaivers prints the waivers, or adds them to the file; either way they are
// first held to the rules' own policy.
func (p *program) keepWaivers(t *table, waivers []touchstone.Waiver, write bool) error {
	if len(waivers) == 0 {
		p.note("nothing refuses: there is nothing to waive")
		return nil
	}
	fresh := rules.WriteWaivers(waivers)
	if _, _, err := rules.LoadWaivers("the baseline", fresh, t.rules, p.now()); err != nil {
		return fmt.Errorf("the rules do not allow these waivers:\n%w", err)
	}
	if !write {
		_, err := p.stdout.Write(fresh)
		return outside(err)
	}
	known := make(map[string]bool, len(t.waivers))
	for i := range t.waivers {
		known[t.waivers[i].ID] = true
	}
	waivers = slices.DeleteFunc(waivers, func(w touchstone.Waiver) bool { return known[w.ID] })
	old, err := os.ReadFile(t.waiversPath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return outside(fmt.Errorf("reading the waivers: %w", err))
	}
	content, err := rules.AppendWaivers(old, waivers)
	if err != nil {
		return fmt.Errorf("adding to %s: %w", t.waiversPath, err)
	}
	if err := wholefile.Write(t.waiversPath, content, 0o644); err != nil {
		return outside(err)
	}
	fmt.Fprintf(p.stdout, "%d waivers added to %s\n", len(waivers), t.waiversPath)
	return nil
}
