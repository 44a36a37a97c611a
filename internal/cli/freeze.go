package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/rules"
)

func (p *program) freezeCommand() *cobra.Command {
	var (
		a    asked
		f    touchstone.Freeze
		when freezing
	)
	c := &cobra.Command{
		Use:   "freeze ENVIRONMENT… --until WHEN --reason WHY",
		Short: "Let nothing new into environments, until a moment or every week",
		Long: `Let nothing new into environments, until a moment or every week, where the rules
have a row "frozen". What runs may restart, and what is better than what runs may
come in where the row "improves" says so. It needs nobody else's approval: a
freeze only ever refuses.`,
		Example: `  touchstone freeze prod --until 2027-01-03 --reason "end of the year"
  touchstone freeze stage prod --every "Fri 16:00 to Mon 08:00" --zone Europe/Berlin --reason "nobody is there"
  touchstone freeze list
  touchstone freeze thaw 01JDC9T3Z1V6W0Q4N8R5K7M2XA --reason "over early"`,
		Args: atLeast(1, "environments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Environments = args
			if err := p.freezes(&f, &when); err != nil {
				return err
			}
			return p.call(&a, func(client *api.Client) error {
				got, err := client.Freeze(cmd.Context(), f)
				if err != nil {
					return err
				}
				return p.tell(&a, got, func(w io.Writer) { tabulate(w, []touchstone.Freeze{*got}, "", freezeHead, p.freezeRow) })
			})
		},
	}
	c.Flags().StringVar(&when.from, "from", "", "when it begins: a day, an instant, or a time from now (default: now)")
	c.Flags().StringVar(&when.until, "until", "", "when it ends: a day, an instant, or a time from now (3d, 4h)")
	c.Flags().StringVar(&when.every, "every", "", "the time of the week in which it recurs: Fri 16:00 to Mon 08:00, or Sat,Sun")
	c.Flags().StringVar(&when.zone, "zone", "", "the time zone of --every, as in Europe/Berlin (default: UTC)")
	c.Flags().StringVar(&f.Reason, "reason", "", "why")
	c.Flags().StringVar(&f.Owner, "owner", "", "who answers for it (default: whoever declares it)")
	c.AddCommand(p.freezeList(), p.remarkCommand("thaw ID", "End a freeze before its time", "the id of a freeze", "thawed", (*api.Client).Thaw))
	return a.flags(c)
}

// freezing is when a freeze holds, as the flags say it.
type freezing struct{ from, until, every, zone string }

// freezes fills in when the freeze holds.
func (p *program) freezes(f *touchstone.Freeze, when *freezing) (err error) {
	switch {
	case f.Reason == "" || when.until == "" && when.every == "":
		return errors.New("a freeze needs --reason, and --until or --every\nhint: touchstone freeze --help shows some")
	case when.zone != "" && when.every == "":
		return errors.New("--zone is the time zone of --every\nhint: an instant names its own, as in 2027-01-31T16:00:00+01:00")
	}
	if when.every != "" {
		if f.Weekly, err = rules.ParseWeekly(when.every, when.zone); err != nil {
			return fmt.Errorf("--every: %w", err)
		}
	}
	if when.until != "" {
		if f.Until, err = p.end("until", when.until); err != nil {
			return err
		}
	}
	if when.from != "" {
		f.From, err = p.begin("from", when.from)
	}
	return err
}

const freezeHead = "ID\tENVIRONMENTS\tFROM\tUNTIL\tEVERY\tOWNER\tREASON"

func (p *program) freezeRow(f *touchstone.Freeze) []string {
	from, until, every := "now", "thawed", ""
	if !f.From.IsZero() {
		from = p.moment(f.From)
	}
	if !f.Until.IsZero() {
		until = p.moment(f.Until)
	}
	if f.Weekly != nil {
		every = f.Weekly.String()
	}
	return []string{f.ID, orAll(f.Environments), from, until, every, f.Owner, f.Reason}
}

func (p *program) freezeList() *cobra.Command {
	return listCommand(p, listing[touchstone.Freeze]{
		use: "list", short: "The freezes that people have declared, past ones left out",
		empty: "no freeze is declared; those of the rules file are in the rules (touchstone rules show)", head: freezeHead,
		page: func(cmd *cobra.Command, client *api.Client, _ []string, at api.Paging) (*api.Page[touchstone.Freeze], error) {
			return client.Freezes(cmd.Context(), at)
		},
		row: p.freezeRow,
	})
}
