package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/cli"
)

// role is the variable that says as what the test's program was started.
const role = "TOUCHSTONE_TRIAL_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "touchstone":
		os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
	case "registry":
		serveRegistry()
	default:
		os.Exit(m.Run())
	}
}

// command prepares the test's own program in a role, away from the settings of
// whoever runs the tests.
func command(t *testing.T, as string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = append(os.Environ(), role+"="+as, "HOME="+home, "XDG_CONFIG_HOME="+home, "DOCKER_CONFIG="+home)
	return c
}

// machine is a touchstone with a data folder and rules of its own.
type machine struct {
	t    *testing.T
	data string
}

// newMachine returns a touchstone that knows the advisories in these files.
func newMachine(t *testing.T, advisories ...string) *machine {
	t.Helper()
	m := &machine{t: t, data: t.TempDir()}
	if len(advisories) > 0 {
		m.run(0, append([]string{"db", "import", "--quiet"}, advisories...)...)
	}
	return m
}

// arguments adds what every call has in common.
func (m *machine) arguments(args []string) []string {
	return append(slices.Clone(args), "--data", m.data, "--rules", filepath.Join("testdata", "touchstone.yaml"))
}

// run runs touchstone and returns what it wrote to standard output; any other
// exit code than want is fatal.
func (m *machine) run(want int, args ...string) []byte {
	m.t.Helper()
	c := command(m.t, "touchstone", m.arguments(args)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != want {
		m.t.Fatalf("touchstone %q exits with %d, want %d\n%s%s", args, got, want, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// check judges a reference for prod and returns the answer; code is the exit
// code that must come.
func (m *machine) check(code int, ref string, more ...string) *touchstone.Check {
	m.t.Helper()
	out := m.run(code, append([]string{"check", ref, "--env", "prod", "-o", "json"}, more...)...)
	doc := new(touchstone.Check)
	if err := json.Unmarshal(out, doc); err != nil {
		m.t.Fatalf("check %s: %v", ref, err)
	}
	return doc
}

// reason returns what one rule said.
func reason(t *testing.T, doc *touchstone.Check, rule string) touchstone.Reason {
	t.Helper()
	for _, d := range doc.Decisions() {
		for _, r := range d.Reasons {
			if r.Rule == rule {
				return r
			}
		}
	}
	t.Fatalf("no rule %s was asked", rule)
	return touchstone.Reason{}
}
