package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/advisory/fetch"
)

func (p *program) dbUpdate() *cobra.Command {
	var o advisory.UpdateOptions
	c := &cobra.Command{
		Use:   "update [ECOSYSTEM…]",
		Short: "Fetch advisories: OSV's archives of the ecosystems, CISA's list, EPSS scores",
		Long: `Fetch advisories: OSV's archives of the ecosystems asked for, CISA's list of known
exploited vulnerabilities, and EPSS scores. What has not changed since is only
confirmed; what was cut off is resumed. This is the only command that fetches
advisories.

Without an ecosystem, those that are there already are fetched again; where
there are none yet, ` + strings.Join(advisory.Usual(), ", ") + `.`,
		Example: `  touchstone db update Debian Go npm
  touchstone db update --from https://mirror.example/osv Alpine`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.watch()
			o.Ecosystems = args
			o.Client = &fetch.Client{Agent: "touchstone/" + version}
			o.Now, o.Progress = p.now(), p.importing
			report, err := p.advisories().Update(cmd.Context(), o)
			if len(report.Changed) > 0 {
				if err := p.changed(&report); err != nil {
					return err
				}
			}
			return outside(err)
		},
	}
	c.Flags().StringVar(&o.From, "from", "", "mirror to fetch from instead: a URL or folder with ECOSYSTEM/all.zip below it")
	c.Flags().StringVar(&o.KEV, "kev", "", "URL of CISA's list instead of its publisher's; - leaves it out")
	c.Flags().StringVar(&o.EPSS, "epss", "", "URL of the EPSS scores instead of their publisher's; - leaves them out")
	c.Flags().BoolVar(&o.Replace, "replace", false, "let a source take the place of one that holds much more")
	return c
}
