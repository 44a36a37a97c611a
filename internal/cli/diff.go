package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) diffCommand() *cobra.Command {
	var (
		platform string
		formats  []string
		look     viewing
	)
	c := &cobra.Command{
		Use:   "diff IMAGE IMAGE",
		Short: "Show what changed between two builds: packages, executables, surface, configuration, holes",
		Long:  "Show what changed between two builds: packages, executables, surface, configuration, holes.\n\n" + referenceHelp,
		Example: `  touchstone diff registry.example/shop/cart:1.4 registry.example/shop/cart:1.5
  touchstone diff old.tar new.tar -o markdown`,
		Args: exactly(2, "two artifacts to compare"),
		RunE: func(cmd *cobra.Command, args []string) error {
			outs, err := outputs(formats, report.DiffFormats())
			if err != nil {
				return err
			}
			t, _, err := p.readRules()
			if err != nil {
				return err
			}
			o, err := p.openOptions(opening{platform: platform})
			if err != nil {
				return err
			}
			var d *touchstone.Diff
			err = p.withGate(t, func(g *gate.Gate) error {
				var both [2]gate.Inspected
				for i, ref := range args {
					all, err := g.Inspect(cmd.Context(), ref, o)
					if err != nil {
						return openFailed(cmd.Context(), err)
					}
					if both[i], err = only(all, ref); err != nil {
						return err
					}
				}
				d, err = g.Diff(cmd.Context(), both[0], both[1])
				return outside(err)
			})
			if err != nil {
				return err
			}
			return p.write(outs, func(w io.Writer, format string, o report.Options) error {
				return report.WriteDiff(w, format, d, look.apply(o))
			})
		},
	}
	look.flags(c.Flags())
	c.Flags().StringVar(&platform, "platform", "", "one platform of an index, as in linux/arm64")
	c.Flags().StringArrayVarP(&formats, "output", "o", nil, "output FORMAT[=FILE], repeatable: "+strings.Join(report.DiffFormats(), ", "))
	return c
}
