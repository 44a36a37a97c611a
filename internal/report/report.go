// Package report writes what a check found and decided, in every format that
// people and their tools read.
//
// It decides nothing and looks nothing up: a Check comes in, a document goes
// out, so that one scan gives any number of documents and a saved one can be
// rendered again years later. Write first puts a copy of the Check into a
// stable order without null lists, hands it to the one file that knows the
// format, and writes the whole document at once, so that a fault never leaves
// half a document behind.
//
// Whatever comes from inside an artifact or from a registry was written by a
// stranger. Each kind of document has its own way of being tricked, and a file
// named escape_… that holds against it.
package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// Options say for whom a document is written. The zero value is good for a log
// that nobody watches.
type Options struct {
	// Width is how many columns the reader's terminal has; 0 means 100. What is
	// below 40 is taken as 40.
	Width int
	// Color allows colour. Nothing is said by colour alone.
	Color bool
	// ASCII keeps to ASCII in the words of the program itself.
	ASCII bool
	// Verbose also lists what passes, and everything where otherwise the first
	// few stand for the rest.
	Verbose bool
	// Now is the moment that ages are told from; zero means the moment of the
	// decision.
	Now time.Time
	// TimeZone is where the reader is; nil means UTC. Documents for machines
	// are in UTC always.
	TimeZone *time.Location
	// Dockerfile is the path of the artifact's Dockerfile in its repository,
	// "/"-separated, for annotations; empty when it is not known.
	Dockerfile string
	// Author speaks in a VEX document; empty means the tool itself.
	Author string
}

// format is one way of writing a check.
type format struct {
	name  string
	write func(*bytes.Buffer, *touchstone.Check, Options) error
}

func formats() []format {
	return []format{
		{"table", writeTable},
		{"json", writeJSON},
		{"sarif", writeSARIF},
		{"junit", writeJUnit},
		{"markdown", writeMarkdown},
		{"github", writeGitHub},
		{"cyclonedx", writeCycloneDX},
		{"spdx", writeSPDX},
		{"openvex", writeOpenVEX},
	}
}

// Formats returns the names of the formats that Write knows.
func Formats() []string {
	all := formats()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].name
	}
	return names
}

// EvidenceFormats returns the names of the formats that WriteEvidence knows.
func EvidenceFormats() []string { return []string{"table", "json", "cyclonedx", "spdx"} }

// DiffFormats returns the names of the formats that WriteDiff knows.
func DiffFormats() []string { return []string{"table", "json", "markdown"} }

// Write writes the check in the named format.
func Write(w io.Writer, name string, c *touchstone.Check, o Options) error {
	all := formats()
	i := slices.IndexFunc(all, func(f format) bool { return f.name == name })
	if i < 0 {
		return unknownFormat(name, Formats())
	}
	ordered := inOrder(c)
	return once(w, func(b *bytes.Buffer) error { return all[i].write(b, ordered, o.filled(ordered)) })
}

// WriteEvidence writes what was found inside an artifact, without any decision.
func WriteEvidence(w io.Writer, name string, a touchstone.Artifact, e *touchstone.Evidence, tool string, o Options) error {
	if !slices.Contains(EvidenceFormats(), name) {
		return unknownFormat(name, EvidenceFormats())
	}
	if name == "json" {
		return once(w, func(b *bytes.Buffer) error { return writeEvidenceJSON(b, a, e) })
	}
	return Write(w, name, FromEvidence(a, e, tool), o)
}

// WriteDiff writes what changed between two artifacts.
func WriteDiff(w io.Writer, name string, d *touchstone.Diff, o Options) error {
	d = withLists(d)
	o = o.filled(nil)
	return once(w, func(b *bytes.Buffer) error {
		switch name {
		case "table":
			return writeDiffTable(b, d, o)
		case "json":
			return encode(b, d)
		case "markdown":
			return writeDiffMarkdown(b, d, o)
		default:
			return unknownFormat(name, DiffFormats())
		}
	})
}

// FromEvidence makes a check that holds evidence and no decision.
func FromEvidence(a touchstone.Artifact, e *touchstone.Evidence, tool string) *touchstone.Check {
	return &touchstone.Check{
		Schema: touchstone.SchemaCheck, Tool: tool, Artifact: a,
		Packages: e.Packages, Gaps: e.Gaps, Secrets: e.Secrets, Pins: e.Pins,
		Surface: e.Surface, Configuration: e.Configuration, OS: e.OS, Layers: e.Layers, Manifest: e.Manifest,
	}
}

// once writes what the function made in one go, and nothing if it failed.
func once(w io.Writer, write func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func unknownFormat(name string, known []string) error {
	return fmt.Errorf("unknown output format %q\nhint: one of %s", name, strings.Join(known, ", "))
}

// filled puts the defaults into what was left open; c may be nil.
func (o Options) filled(c *touchstone.Check) Options {
	if o.Width == 0 {
		o.Width = 100
	}
	o.Width = max(o.Width, 40)
	if o.TimeZone == nil {
		o.TimeZone = time.UTC
	}
	if o.Now.IsZero() && c != nil {
		o.Now = moment(c)
	}
	return o
}

// moment is when the check was made, as far as it says.
func moment(c *touchstone.Check) time.Time {
	for _, d := range c.Decisions() {
		if !d.At.IsZero() {
			return d.At
		}
	}
	return c.Index.Built
}
