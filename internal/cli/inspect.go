package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/report"
)

func (p *program) inspectCommand() *cobra.Command {
	var (
		open    opening
		formats []string
		look    viewing
	)
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is inside an artifact: the evidence alone, without any judgement",
		Long:  "Show what is inside an artifact: the evidence alone, without any judgement.\n\n" + referenceHelp,
		Example: `  touchstone inspect cart.tar
  touchstone inspect cart.tar -o json
  touchstone inspect dir:/ -o cyclonedx=this-machine.json`,
		Args: exactly(1, "an artifact to inspect"),
		RunE: func(cmd *cobra.Command, args []string) error {
			outs, err := outputs(formats, report.EvidenceFormats())
			if err != nil {
				return err
			}
			return p.inspectOne(cmd, args[0], open, func(one gate.Inspected) error {
				return p.write(outs, func(w io.Writer, format string, o report.Options) error {
					return report.WriteEvidence(w, format, one.Artifact, one.Evidence, tool(), look.apply(o))
				})
			})
		},
	}
	open.flags(c.Flags())
	look.flags(c.Flags())
	c.Flags().StringArrayVarP(&formats, "output", "o", nil, "output FORMAT[=FILE], repeatable: "+strings.Join(report.EvidenceFormats(), ", "))
	return c
}

// inspectOne inspects a reference that must come down to one artifact. Nothing is
// judged, so neither rules nor advisories are read.
func (p *program) inspectOne(cmd *cobra.Command, ref string, open opening, use func(gate.Inspected) error) error {
	o, err := p.openOptions(open)
	if err != nil {
		return err
	}
	return p.withInspector(func(inspector *inspect.Inspector) error {
		all, err := gate.New(gate.Config{Inspector: inspector}).Inspect(cmd.Context(), ref, o)
		if err != nil {
			return openFailed(cmd.Context(), err)
		}
		one, err := only(all, ref)
		if err != nil {
			return err
		}
		return use(one)
	})
}

// only is the one inspected artifact, or an error that says why there is none.
func only(all []gate.Inspected, ref string) (gate.Inspected, error) {
	if len(all) > 1 {
		platforms := make([]string, len(all))
		for i := range all {
			platforms[i] = all[i].Artifact.Platform
		}
		return gate.Inspected{}, errors.New(ref + " has several platforms: " + strings.Join(platforms, ", ") + "\nhint: choose one with --platform")
	}
	one := all[0]
	switch {
	case one.False != "":
		return one, outside(errors.New(one.False))
	case one.Problem != "":
		return one, outside(errors.New(one.Problem))
	}
	return one, nil
}
