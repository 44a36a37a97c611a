// Package cli is the command line: flags, terminal and exit codes. It gathers
// what people said, calls the rooms below and writes the answer; it decides
// nothing.
//
// A command that judges here opens what it needs itself (inputs.go). One that asks
// a server is an asked: connect.go finds server and token, call makes the call and
// sorts what went wrong, tell writes the answer as a table or as JSON; most lists
// are a listing. Whatever strangers have named is escaped on the way out.
//
// Run is shaped like a program's main without its globals, so that tests run
// the whole tool in-process. Results go to stdout, everything else to stderr.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"
	_ "time/tzdata" // people see their own zone also where the system has no database

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/rules"
)

// The exit codes. A crash or an error is never one of a verdict's but the one
// that lets nothing pass.
const (
	exitAllowed = 0
	exitRefused = 1 // a refused verdict, or a check of ours that found fault: written by refused alone
	exitUsage   = 64

	// ExitUndecided: it could not be decided, for the index, the network, the
	// disk or a crash.
	ExitUndecided = 2
)

// version is set by the linker.
var version = "devel"

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv, now: time.Now}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(p.stderr, "touchstone: internal error: %v\n%s\nhint: nothing was decided; please report this with the lines above\n", r, debug.Stack())
			code = ExitUndecided
		}
	}()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	p.progress.clear()
	return p.exit(err)
}

// exit tells the user of an error, and turns it into an exit code.
func (p *program) exit(err error) int {
	var f *finding
	switch {
	case err == nil:
		return exitAllowed
	case errors.As(err, &f):
		if f.message != "" {
			p.complain(f.message)
		}
		return f.code
	}
	p.complain(err.Error())
	var bad *undecidedError
	if errors.As(err, &bad) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ExitUndecided
	}
	return exitUsage
}

// complain tells people what is wrong. Some of the words are those of strangers, a
// registry's or an artifact's, and none of them may steer a terminal.
func (p *program) complain(text string) { fmt.Fprintln(p.stderr, "touchstone: "+shown(text)) }

func shown(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = rules.Printable(line)
	}
	return strings.Join(lines, "\n")
}

// finding ends a command that worked, and whose answer is not a plain yes.
type finding struct {
	code    int
	message string
}

func (f *finding) Error() string { return f.message }

// refused is the one place that exit code 1 comes from.
func refused(message string) error { return &finding{code: exitRefused, message: message} }

// verdictExit turns a verdict into what ends the command; strict makes warnings
// count as refusals.
func verdictExit(v touchstone.Verdict, strict, warned bool) error {
	switch {
	case v == touchstone.Refused, strict && warned && v == touchstone.Allowed:
		return refused("")
	case v == touchstone.Undecided:
		return &finding{code: ExitUndecided}
	default:
		return nil
	}
}

// undecidedError is an error that is nobody's wrong usage: the network, the disk.
type undecidedError struct{ error }

func (e *undecidedError) Unwrap() error { return e.error }

// outside marks an error as nobody's wrong usage.
func outside(err error) error {
	if err == nil {
		return nil
	}
	return &undecidedError{err}
}

// program is one run of the command line.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	progress       progress
	settings       settings
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "touchstone",
		Short: "Decides what software may run where, by rules that everybody can read",
		Long: `Touchstone decides what software may run where, by rules that everybody can read.

Exit codes: 0 allowed (warnings too; --strict makes them 1), 1 refused,
2 undecided (a needed input was missing, or something outside the artifact
failed), 64 wrong usage.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q\nhint: touchstone --help lists the commands", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := nothingEmpty(cmd); err != nil {
				return err
			}
			return p.settings.resolve(cmd, p.getenv)
		},
	}
	root.SetVersionTemplate("touchstone {{.Version}}\n")
	p.settings.flags(root.PersistentFlags())
	p.addCommands(root)
	return root
}

// addCommands puts the commands in three groups: what needs no server, what asks
// one, and what runs one.
func (p *program) addCommands(root *cobra.Command) {
	for _, of := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Judge, without a server (check asks one too):", []*cobra.Command{
			p.checkCommand(), p.inspectCommand(), p.diffCommand(), p.pinCommand(), p.goldenCommand(),
			p.rulesCommand(), p.baselineCommand(), p.dbCommand(), p.renderCommand(),
		}},
		{"Ask a server:", []*cobra.Command{
			p.promoteCommand(), p.promotionsCommand(), p.requestsCommand(), p.approveCommand(), p.rejectCommand(), p.improveCommand(),
			p.waiveCommand(), p.freezeCommand(), p.decisionsCommand(), p.replayCommand(), p.simulateCommand(),
			p.eventsCommand(), p.scansCommand(), p.whereCommand(), p.logCommand(),
		}},
		{"Run a server:", []*cobra.Command{p.serveCommand(), p.rehydrateCommand(), p.admitCommand(), p.tokenCommand(), p.backupCommand()}},
		{"Guard a node:", []*cobra.Command{p.guardCommand(), p.driftCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: of.title, Title: of.title})
		for _, c := range of.commands {
			c.GroupID = of.title
		}
		root.AddCommand(of.commands...)
	}
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			names := make([]string, 0, len(commands))
			for _, sub := range cmd.Commands() {
				names = append(names, sub.Name())
			}
			if len(args) > 0 {
				return fmt.Errorf("%s has no command %q\nhint: one of %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(commands...)
	return c
}
