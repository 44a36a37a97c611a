package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/report"
)

func (p *program) renderCommand() *cobra.Command {
	var (
		formats []string
		look    viewing
	)
	c := &cobra.Command{
		Use:   "render CHECK.json",
		Short: "Turn the saved json of a check into any other format",
		Example: `  touchstone check cart.tar --env prod -o json=cart.json
  touchstone render cart.json -o sarif=cart.sarif -o markdown`,
		Args: exactly(1, "the json of a check, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error {
			outs, err := outputs(formats, report.Formats())
			if err != nil {
				return err
			}
			in := p.stdin
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading the check: %w", err)
				}
				defer f.Close()
				in = f
			}
			doc, err := report.Read(in)
			if err != nil {
				return fmt.Errorf("reading %s: %w", args[0], err)
			}
			return p.write(outs, func(w io.Writer, format string, o report.Options) error {
				return report.Write(w, format, doc, look.apply(o))
			})
		},
	}
	look.flags(c.Flags())
	c.Flags().StringArrayVarP(&formats, "output", "o", nil, "output FORMAT[=FILE], repeatable: "+strings.Join(report.Formats(), ", "))
	return c
}
