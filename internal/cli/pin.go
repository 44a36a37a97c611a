package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/pin"
	"touchstone.dev/touchstone/internal/rules"
	"touchstone.dev/touchstone/internal/wholefile"
)

func (p *program) pinCommand() *cobra.Command {
	var (
		open    opening
		fix     bool
		from    string
		resolve bool
		strict  bool
		args    []string
		target  string
	)
	c := &cobra.Command{
		Use:   "pin DOCKERFILE",
		Short: "Find unpinned dependencies in a Dockerfile, and pin them",
		Long: `Find unpinned dependencies in a Dockerfile, and pin them.

With --fix the file is rewritten: exact versions come from the image that was
really built from it (--from), digests of bases from there or from the registry
(--resolve, the only network that this command uses). What cannot be pinned is
named with what to do.`,
		Example: `  touchstone pin Dockerfile
  touchstone pin Dockerfile --fix --from cart.tar --resolve`,
		Args: exactly(1, "a Dockerfile"),
		RunE: func(cmd *cobra.Command, files []string) error {
			src, err := os.ReadFile(files[0])
			if err != nil {
				return fmt.Errorf("reading the Dockerfile: %w", err)
			}
			f, err := pin.Check(files[0], src, pin.Options{BuildArgs: arguments(args), Target: target})
			if err != nil {
				return err
			}
			for _, gap := range f.Gaps() {
				p.note("%s could not be read: %s", rules.Printable(gap.Path), rules.Printable(gap.Reason))
			}
			pins := f.Pins()
			if !fix {
				p.listPins(files[0], pins)
				if strict && len(pins) > 0 {
					return refused("")
				}
				return nil
			}
			versions, err := p.versions(cmd, from, open, resolve)
			if err != nil {
				return err
			}
			return p.fixPins(files[0], src, f, versions, strict)
		},
	}
	c.Flags().StringVar(&open.platform, "platform", "", "one platform of the image given by --from")
	c.Flags().BoolVar(&fix, "fix", false, "rewrite the file with digests and exact versions")
	c.Flags().StringVar(&from, "from", "", "the image that was built from the file: its versions are the pins")
	c.Flags().BoolVar(&resolve, "resolve", false, "ask registries for the digests of bases")
	c.Flags().StringArrayVar(&args, "build-arg", nil, "value of a build argument, NAME=value")
	c.Flags().StringVar(&target, "target", "", "the stage that is built (default: the last)")
	c.Flags().BoolVar(&strict, "strict", false, "exit with 1 when something is (or stays) unpinned")
	return c
}

func arguments(pairs []string) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = value
	}
	return m
}

func (p *program) listPins(file string, pins []touchstone.Pin) {
	if len(pins) == 0 {
		fmt.Fprintf(p.stdout, "%s: everything is pinned\n", file)
		return
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, one := range pins {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", rules.Printable(one.Where), rules.Printable(one.Tool), rules.Printable(one.What), rules.Printable(one.Why))
	}
	_ = w.Flush()
	fmt.Fprintf(p.stdout, "%d unpinned; touchstone pin %s --fix --from IMAGE pins them to what was really built\n", len(pins), file)
}

// versions says where exact versions come from.
func (p *program) versions(cmd *cobra.Command, from string, open opening, resolve bool) (pin.Versions, error) {
	digest := func(string, string) (touchstone.Digest, error) {
		return "", errors.New("the digest is not known: --resolve asks the registry")
	}
	if resolve {
		o, err := p.openOptions(opening{})
		if err != nil {
			return nil, err
		}
		digest = func(ref, platform string) (touchstone.Digest, error) {
			return reference.Resolve(cmd.Context(), ref, platform, o)
		}
	}
	if from == "" {
		return pin.FromEvidence(&touchstone.Evidence{}, digest), nil
	}
	var v pin.Versions
	err := p.inspectOne(cmd, from, open, func(one gate.Inspected) error {
		v = pin.FromEvidence(one.Evidence, digest)
		return nil
	})
	return v, err
}

func (p *program) fixPins(file string, src []byte, f *pin.File, v pin.Versions, strict bool) error {
	out, fixed, left := f.Fix(v)
	if !bytes.Equal(out, src) {
		if err := wholefile.Write(file, out, 0o644); err != nil {
			return outside(err)
		}
	}
	for _, one := range fixed {
		fmt.Fprintf(p.stdout, "pinned  %s  %s %s to %s\n", rules.Printable(one.Where), rules.Printable(one.Tool), rules.Printable(one.What), rules.Printable(one.To))
	}
	for _, one := range left {
		fmt.Fprintf(p.stdout, "left    %s  %s %s: %s\n", rules.Printable(one.Where), rules.Printable(one.Tool), rules.Printable(one.What), rules.Printable(one.Reason))
	}
	fmt.Fprintf(p.stdout, "%s: %d pinned, %d left\n", file, len(fixed), len(left))
	if strict && len(left) > 0 {
		return refused("")
	}
	return nil
}
