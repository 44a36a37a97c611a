package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/report"
	"touchstone.dev/touchstone/internal/rules"
)

// opening are the flags of every command that opens an artifact.
type opening struct {
	platform string
	as       string
}

func (o *opening) flags(f *pflag.FlagSet) {
	f.StringVar(&o.platform, "platform", "", "one platform of an index, as in linux/arm64 (default: each, and the worst holds)")
	f.StringVar(&o.as, "as", "", "the name that a file goes by, for rules and waivers about names")
}

func (p *program) openOptions(o opening) (reference.Options, error) {
	mirrors, err := p.settings.mirrorMap()
	if err != nil {
		return reference.Options{}, err
	}
	return reference.Options{
		Platform: o.platform, As: o.as, Now: p.now,
		Registries: oci.Registries{Mirrors: mirrors, Insecure: p.settings.insecure, UserAgent: "touchstone/" + version},
		Containerd: oci.Containerd{Address: p.settings.containerd},
	}, nil
}

const referenceHelp = `IMAGE is a name in a registry, or a file that is opened as what it is: a docker
or OCI archive, an OCI layout, a root file system tarball. Prefixes say it
outright: docker-archive:PATH[:NAME], oci-archive:PATH[:NAME], oci:PATH[:NAME],
containerd:NAME, containerd://NAMESPACE/NAME, rootfs:PATH, and dir:PATH for a
root file system in place (dir:/ is this machine).`

func (p *program) checkCommand() *cobra.Command {
	var (
		open    opening
		env     string
		place   string
		user    string
		formats []string
		strict  bool
		wait    time.Duration
		look    viewing
		served  connection
	)
	c := &cobra.Command{
		Use:   "check IMAGE",
		Short: "Judge an artifact by the rules of the road",
		Long: `Judge an artifact by the rules of the road: for one environment or place, or
without --env and --place for every environment, one column each.

` + referenceHelp + `

Exit codes: 0 allowed (warnings too; --strict makes them 1), 1 refused,
2 undecided, 64 wrong usage. Without --env the exit code is that of the worst
environment only with --strict; else 0 unless nothing could be decided.`,
		Example: `  touchstone check registry.example/shop/cart:1.4
  touchstone check registry.example/shop/cart:1.4 --env prod
  touchstone check cart.tar --env test -o table -o sarif=out.sarif -o cyclonedx=sbom.json`,
		Args: exactly(1, "an artifact to check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			outs, err := outputs(formats, report.Formats())
			if err != nil {
				return err
			}
			answer := func(doc *touchstone.Check) error {
				if err := p.write(outs, func(w io.Writer, format string, o report.Options) error {
					return report.Write(w, format, doc, look.apply(o))
				}); err != nil {
					return err
				}
				if doc.Decision == nil && !strict {
					return roadExit(doc)
				}
				return verdictExit(doc.Verdict(), strict, warned(doc))
			}
			if served.url != "" {
				if open.as != "" {
					return errors.New("--as names a file, and a server judges what is in a registry\nhint: leave --as out, or --server")
				}
				ask := api.CheckAsk{Reference: args[0], Environment: env, Place: place, Platform: open.platform, Settings: touchstone.Settings{User: user}}
				doc, err := p.checkBy(cmd.Context(), &served, ask, wait)
				if err != nil {
					return err
				}
				return answer(doc)
			}
			table, err := p.loadRules()
			if err != nil {
				return err
			}
			ask := gate.Ask{Reference: args[0], User: user}
			if ask.Open, err = p.openOptions(open); err != nil {
				return err
			}
			if ask.Place, err = askedPlace(table.rules, env, place); err != nil {
				return err
			}
			return p.withGate(table, func(g *gate.Gate) error {
				doc, err := g.Check(cmd.Context(), ask)
				if err != nil {
					return openFailed(cmd.Context(), err)
				}
				return answer(doc)
			})
		},
	}
	open.flags(c.Flags())
	look.flags(c.Flags())
	c.Flags().StringVar(&env, "env", "", "the environment to judge for")
	c.Flags().StringVar(&place, "place", "", "the place to judge for: cluster=…,namespace=…,class=…,exposure=…")
	c.Flags().StringVar(&user, "user", "", "the user that the workload sets, instead of the image's")
	c.Flags().StringArrayVarP(&formats, "output", "o", nil, "output FORMAT[=FILE], repeatable: "+strings.Join(report.Formats(), ", "))
	served.flags(c.Flags())
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait while a server reads the artifact for the first time")
	c.Flags().BoolVar(&strict, "strict", false, "exit with 1 on warnings too")
	return c
}

// viewing are the flags of how a report looks.
type viewing struct {
	verbose    bool
	dockerfile string
}

func (v *viewing) flags(f *pflag.FlagSet) {
	f.BoolVarP(&v.verbose, "verbose", "v", false, "also what passes, and long lists whole")
	f.StringVar(&v.dockerfile, "dockerfile", "", "path of the Dockerfile in its repository, for annotations")
}

func (v *viewing) apply(o report.Options) report.Options {
	o.Verbose, o.Dockerfile = v.verbose, v.dockerfile
	return o
}

// askedPlace is the place that the flags name, or nil for the whole road.
func askedPlace(r *touchstone.Rules, env, place string) (*touchstone.Place, error) {
	switch {
	case env == "" && place == "":
		return nil, nil
	case place == "":
		if err := knownEnvironment(r, env); err != nil {
			return nil, err
		}
		got := r.PlaceIn(env)
		return &got, nil
	case env != "":
		place += ",environment=" + env
	}
	got, err := rules.ParsePlace(place, r)
	if err != nil {
		return nil, err
	}
	return &got, nil
}

func knownEnvironment(r *touchstone.Rules, env string) error {
	for _, e := range r.Environments {
		if e == env {
			return nil
		}
	}
	return fmt.Errorf("--env %s: the rules know no such environment\nhint: one of %s", env, strings.Join(r.Environments, ", "))
}

// roadExit ends a check of the whole road: it has no one verdict, but a road on
// which nothing could be decided is not a success.
func roadExit(doc *touchstone.Check) error {
	for i := range doc.Road {
		if doc.Road[i].Verdict != touchstone.Undecided {
			return nil
		}
	}
	return verdictExit(touchstone.Undecided, false, false)
}

func warned(doc *touchstone.Check) bool {
	for _, d := range doc.Decisions() {
		for i := range d.Reasons {
			if w := &d.Reasons[i]; w.Effect == touchstone.EffectWarn && (w.Outcome == touchstone.Fail || w.Outcome == touchstone.Unknown) {
				return true
			}
		}
	}
	return false
}

// openFailed sorts an error of opening into wrong usage and not.
func openFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return outside(errors.New("interrupted; nothing was decided"))
	}
	return err
}

// exactly wants so many arguments, and says what for.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s wants %s\nhint: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}

// atLeast wants so many arguments or more.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return fmt.Errorf("%s wants %s\nhint: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}

// atMostOne wants one argument or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%s wants %s\nhint: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}
