package report

import (
	"testing"

	"touchstone.dev/touchstone"
)

// TestLocateFindsWhatDecideNames keeps locate in step with the words in which
// Decide names failing things.
func TestLocateFindsWhatDecideNames(t *testing.T) {
	c := inspected()
	c.Surface = touchstone.Surface{
		Setuid: []string{"bin/su"}, Capabilities: []string{"bin/ping: cap_net_raw"}, Shells: []string{"bin/sh"}, PackageManagers: []string{"sbin/apk"},
		Interpreters: []string{"usr/bin/python3"}, NetworkTools: []string{"usr/bin/curl"}, DebugTools: []string{"usr/bin/gdb"},
		LoginDaemons: []string{"usr/sbin/sshd"}, WorldWritable: []string{"tmp/x"},
	}
	c.Pins = c.Pins[:1]
	lists := map[string][]string{"denied-packages": {"libssl1.1"}, "licences": {"OpenSSL"}}
	rules := &touchstone.Rules{Environments: []string{"prod"}}
	for _, name := range []string{
		"secrets", "unpinned", "gaps", "denied-packages", "licences", "setuid", "file-capabilities", "shells", "package-managers",
		"interpreters", "network-tools", "debug-tools", "login-daemons", "world-writable",
	} {
		rules.Rows = append(rules.Rows, touchstone.Rule{Name: name, Cells: []touchstone.Cell{{Effect: touchstone.EffectRefuse}}, List: lists[name]})
	}
	d := touchstone.Decide(rules, &touchstone.Case{
		Artifact: c.Artifact, Now: now, Question: touchstone.Question{Place: rules.PlaceIn("prod")},
		Evidence: &touchstone.Evidence{Packages: c.Packages, Gaps: c.Gaps, Secrets: c.Secrets, Pins: c.Pins, Surface: c.Surface},
	})
	asked := 0
	for i := range d.Reasons {
		r := &d.Reasons[i]
		if stand(r) != refusing {
			t.Errorf("%s does not refuse: %s", r.Rule, r.Seen)
		}
		asked++
		for _, thing := range r.Failing {
			if at := locate(c, r, thing, Options{Dockerfile: "Dockerfile"}); at.path == "" {
				t.Errorf("%s: %q was not found", r.Rule, thing)
			}
		}
	}
	if asked != len(rules.Rows) {
		t.Errorf("%d rules were asked, want %d", asked, len(rules.Rows))
	}
}
