package report

import (
	"bytes"
	"fmt"
	"strings"

	"touchstone.dev/touchstone"
)

// writeGitHub writes workflow commands, which GitHub shows as annotations, and
// the table for the log. GitHub shows ten annotations of each level for a step,
// so there is one for each rule, never one for each vulnerability.
func writeGitHub(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	for _, d := range c.Decisions() {
		annotateVerdict(b, c, &d)
	}
	if c.Decision != nil {
		for i := range c.Decision.Reasons {
			annotate(b, &c.Decision.Reasons[i], c, o)
		}
	} else {
		rows := rowsOf(c.Road)
		for i := range rows {
			annotate(b, rows[i].spokesman(), c, o)
		}
	}
	b.WriteString("::group::touchstone\n")
	o.Color = false
	if err := writeTable(b, c, o); err != nil {
		return err
	}
	b.WriteString("::endgroup::\n")
	return nil
}

func annotateVerdict(b *bytes.Buffer, c *touchstone.Check, d *touchstone.Decision) {
	var rules []string
	for i := range d.Reasons {
		if stand(&d.Reasons[i]) <= stalling {
			rules = append(rules, d.Reasons[i].Rule)
		}
	}
	text := c.Artifact.Label() + " is " + string(d.Verdict) + " for " + placed(&d.Place)
	if len(rules) > 0 {
		text += ", because of " + joined(rules, "and")
	}
	level := "notice"
	if d.Verdict != touchstone.Allowed {
		level = "error"
	}
	command(b, level, verdictLook(d.Verdict).word+" for "+d.Place.Environment, "", []string{text})
}

// annotate writes the command for one rule that fails, could not be asked or was
// waived.
func annotate(b *bytes.Buffer, r *touchstone.Reason, c *touchstone.Check, o Options) {
	st := stand(r)
	var level string
	switch st {
	case refusing, stalling:
		level = "error"
	case warned:
		level = "warning"
	case waived:
		level = "notice"
	default:
		return
	}
	properties := ""
	if o.Dockerfile != "" {
		properties = ",file=" + commandProperty(visible(o.Dockerfile))
		if line := pinnedLine(r, c); line > 0 {
			properties += fmt.Sprintf(",line=%d", line)
		}
	}
	command(b, level, "touchstone: "+r.Rule, properties, append([]string{r.Seen}, asides(st, r, o.day)...))
}

// command writes one workflow command. The lines were not yet made visible.
func command(b *bytes.Buffer, level, title, properties string, lines []string) {
	for i, l := range lines {
		lines[i] = cut(visible(l), longest, "…")
	}
	fmt.Fprintf(b, "::%s title=%s%s::%s\n", level, commandProperty(visible(title)), properties, commandData(strings.Join(lines, "\n")))
}

// pinnedLine is the line of the Dockerfile that the rule "unpinned" is about
// first; 0 where there is none.
func pinnedLine(r *touchstone.Reason, c *touchstone.Check) int {
	if r.Rule != "unpinned" {
		return 0
	}
	for i := range c.Pins {
		if line := dockerfileLine(&c.Pins[i]); line > 0 {
			return line
		}
	}
	return 0
}
