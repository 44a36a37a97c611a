package drift

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"touchstone.dev/touchstone"
)

// Report writes findings as they come, for people or as a DriftReport. What is
// Gone is left out: a report says what is so.
type Report struct {
	out  io.Writer
	json bool
	head touchstone.DriftReport
	gaps []touchstone.Gap
	more bool // a difference has been written
	n    int
}

// mostGaps is how many gaps a report in JSON holds; the others are counted by the
// last of them.
const mostGaps = 10_000

// NewText returns a report for people: a line for each difference and each gap, as
// Line and GapLine have them.
func NewText(out io.Writer) *Report { return &Report{out: out} }

// NewJSON returns a report that is one touchstone.DriftReport with the fields of
// head; its lists are filled by the findings, and only the gaps are held. What is
// not UTF-8 in a name is written as U+FFFD.
func NewJSON(out io.Writer, head touchstone.DriftReport) *Report {
	head.Schema = touchstone.SchemaDrift
	return &Report{out: out, json: true, head: head}
}

// Take writes a finding. It is what Scanner.Scan calls.
func (r *Report) Take(f Finding) error {
	switch {
	case f.News == Gone && f.Gap == nil:
		return nil
	case !r.json && f.Gap != nil:
		_, err := fmt.Fprintln(r.out, GapLine(f.Gap))
		return err
	case !r.json:
		_, err := fmt.Fprintln(r.out, Line(&f.Drift))
		return err
	case f.Gap != nil:
		if r.n++; r.n <= mostGaps {
			r.gaps = append(r.gaps, *f.Gap)
		}
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	doc, err := json.Marshal(&f.Drift)
	if err != nil {
		return err
	}
	comma := ",\n"
	if !r.more {
		comma = "\n"
	}
	r.more = true
	_, err = fmt.Fprintf(r.out, "%s    %s", comma, doc)
	return err
}

// begin writes what stands before the first difference.
func (r *Report) begin() error {
	if r.more {
		return nil
	}
	rest, err := json.Marshal(struct {
		Schema   string              `json:"schema"`
		Tool     string              `json:"tool"`
		At       time.Time           `json:"at"`
		What     string              `json:"what"`
		Artifact touchstone.Artifact `json:"artifact"`
	}{r.head.Schema, r.head.Tool, r.head.At, r.head.What, r.head.Artifact})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.out, "%s,\n  \"drift\": [", rest[:len(rest)-1])
	return err
}

// Close ends the report. It does not close what it was written to.
func (r *Report) Close(sum Summary) error {
	if !r.json {
		return nil
	}
	if err := r.begin(); err != nil {
		return err
	}
	if r.n > mostGaps {
		r.gaps = append(r.gaps, *gap(touchstone.GapLimit, fmt.Sprintf("%d more like these", r.n-mostGaps)))
	}
	if r.gaps == nil {
		r.gaps = []touchstone.Gap{}
	}
	gaps, err := json.Marshal(r.gaps)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.out, "\n  ],\n  \"gaps\": %s,\n  \"complete\": %t}\n", gaps, sum.Complete)
	return err
}
