package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// The elements of JUnit's XML as Jenkins, GitLab and others read it (there is no
// standard; this is what Ant's junit task writes).
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Skipped *junitMessage `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a test suite for each environment and a test case for each
// rule. A rule that refuses is a failure, one that could not be evaluated an
// error, one that was waived or does not apply is skipped. One that only warns
// passes, with the warning as its output: it does not change the verdict.
func writeJUnit(b *bytes.Buffer, c *touchstone.Check, o Options) error {
	all := junitSuites{Name: "touchstone " + visible(c.Artifact.Label())}
	for _, d := range c.Decisions() {
		s := suite(c, &d, o)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
	}
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	b.WriteByte('\n')
	return nil
}

func suite(c *touchstone.Check, d *touchstone.Decision, o Options) junitSuite {
	s := junitSuite{
		Name: visible(d.Place.Environment),
		Properties: []junitProperty{
			{"artifact", visible(c.Artifact.Label())},
			{"digest", visible(string(c.Artifact.Digest))},
			{"verdict", visible(string(d.Verdict))},
			{"rules", visible(string(d.RulesVersion))},
		},
	}
	if !d.At.IsZero() {
		s.Timestamp = d.At.UTC().Format(time.RFC3339)
	}
	for i := range d.Reasons {
		r := &d.Reasons[i]
		k := junitCase{Class: "touchstone." + visible(d.Place.Environment), Name: visible(r.Rule), Time: "0"}
		message := &junitMessage{Message: visible(r.Seen), Type: visible(string(r.Effect)), Text: junitText(r, o)}
		switch stand(r) {
		case refusing:
			if r.Outcome == touchstone.Unknown {
				k.Error, s.Errors = message, s.Errors+1
			} else {
				k.Failure, s.Failures = message, s.Failures+1
			}
		case stalling:
			k.Error, s.Errors = message, s.Errors+1
		case warned:
			k.Out = "warning: " + visible(r.Seen) + message.Text
		case waived, idle:
			message.Type = visible(string(r.Outcome))
			k.Skipped, s.Skipped = message, s.Skipped+1
		default:
			k.Out = visible(r.Seen)
		}
		s.Tests++
		s.Cases = append(s.Cases, k)
	}
	return s
}

// mostNamed is how many failing things a test case names.
const mostNamed = 50

// junitText is all that there is to say about a rule, one thing on each line.
func junitText(r *touchstone.Reason, o Options) string {
	var b strings.Builder
	for _, a := range asides(stand(r), r, o.day) {
		b.WriteString("\n" + visible(a))
	}
	for _, f := range r.Failing[:min(mostNamed, len(r.Failing))] {
		b.WriteString("\n- " + visible(f))
	}
	if n := len(r.Failing) - mostNamed; n > 0 {
		b.WriteString("\n- and " + strconv.Itoa(n) + " more")
	}
	return b.String()
}
