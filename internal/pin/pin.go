package pin

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"touchstone.dev/touchstone"
)

// Bounds of what is read of one file.
const (
	largestFile = 1 << 19 // bytes
	mostStages  = 1000
	mostPins    = 5000
	mostRead    = 1 << 22 // bytes of scripts and words, variables put in
)

// Options say what the file cannot know of itself. The zero value is what a
// plain build has.
type Options struct {
	BuildArgs map[string]string // --build-arg
	Target    string            // --target; empty means the last stage
	Contexts  []string          // names given by --build-context, which are no images
}

// File is a Dockerfile that has been read.
type File struct {
	name     string
	options  Options
	source   *source
	findings []Finding
	gaps     []touchstone.Gap
	whole    map[string]int // how often a variable is the whole of an image's name
	given    map[string]int // how often a variable is declared
	used     map[string]int // how often it is put in, counted when first asked
	defined  map[string]int // how often it is set, counted when first asked
}

// Finding is an unpinned dependency with its place in the file.
type Finding struct {
	touchstone.Pin
	Line  int // 1 is the first
	Start int // the bytes [Start, End) of the file name it; -1 when they cannot be told
	End   int
	Stage string // the build stage's name, else its number from 0
	// Final is true when the stage is the one that becomes the image, or one
	// that it is built on: what is installed there is found in the image.
	Final  bool
	stage  int
	number int // among the findings of the file
	need   need
}

// Pins returns what is unpinned, in the order of the file.
func (f *File) Pins() []touchstone.Pin {
	out := make([]touchstone.Pin, 0, len(f.findings))
	for i := range f.findings {
		out = append(out, f.findings[i].Pin)
	}
	return out
}

// Findings returns what is unpinned with its place, in the order of the file.
func (f *File) Findings() []Finding { return slices.Clone(f.findings) }

// Gaps returns what of the file could not be read, such as PowerShell. Path is
// "Dockerfile:12".
func (f *File) Gaps() []touchstone.Gap { return slices.Clone(f.gaps) }

// Check reads a Dockerfile or Containerfile (Dockerfile reference, frontend
// 1.x). name is what Pin.Where calls it; its folder is left out. The error says
// that the file cannot be built: it has no FROM, or is not a Dockerfile at all.
func Check(name string, src []byte, o Options) (*File, error) {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if len(src) > largestFile {
		return nil, fmt.Errorf("read %s: %d bytes; at most %d are read", name, len(src), largestFile)
	}
	if bytes.ContainsAny(src, "\x00"+unknown) {
		return nil, fmt.Errorf("read %s: holds control characters: not a Dockerfile", name)
	}
	tree, err := parser.Parse(bytes.NewReader(src))
	if err != nil {
		var at *parser.LocationError
		if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
			name = fmt.Sprintf("%s:%d", name, at.Locations[0][0].Start.Line)
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	f := newFile(name)
	f.options, f.source = o, newSource(src, byte(tree.EscapeToken))
	r := newReader(f)
	r.syntaxLine()
	for _, node := range tree.AST.Children {
		r.instruction(f.source.instruction(node))
	}
	if len(r.stages) == 0 {
		return nil, fmt.Errorf("read %s: there is no FROM\nhint: a Dockerfile begins with FROM and the image that it builds on", name)
	}
	r.finish()
	return f, nil
}

func newFile(name string) *File {
	return &File{name: name, whole: map[string]int{}, given: map[string]int{}, used: map[string]int{}, defined: map[string]int{}}
}

// found adds a finding, placed where the word stands.
func (f *File) found(stage int, line int, w word, p touchstone.Pin, n need) {
	if len(f.findings) >= mostPins {
		if len(f.findings) == mostPins {
			f.gap(line, touchstone.GapLimit, fmt.Sprintf("holds more than %d unpinned dependencies", mostPins))
		}
		return
	}
	p.What, p.Why, p.Fix = brief(p.What), brief(p.Why), brief(p.Fix)
	x := Finding{Pin: p, Line: line, Start: -1, End: -1, stage: stage, need: n}
	if w.start != nowhere && w.start < w.end {
		x.Start, x.End = w.start, w.end
		x.Line = f.source.lineOf(w.start)
	}
	x.Where = f.where(x.Line)
	f.findings = append(f.findings, x)
}

// brief keeps what is shown to a length that people read.
func brief(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// where names a line of the file, or a step of a history.
func (f *File) where(line int) string {
	if f.source == nil {
		return fmt.Sprintf("%s %d", f.name, line)
	}
	return fmt.Sprintf("%s:%d", f.name, line)
}

func (f *File) gap(line int, kind touchstone.GapKind, reason string) {
	const most = 100
	if len(f.gaps) < most {
		f.gaps = append(f.gaps, touchstone.Gap{
			Kind: kind, Path: f.where(line), Layer: -1, Reader: "pin", Reason: reason,
		})
	}
}

// sorted puts the findings in the order of the file and numbers them.
func (f *File) sorted() {
	slices.SortStableFunc(f.findings, order)
	for i := range f.findings {
		f.findings[i].number = i
	}
}

// order is the order of the file; what is told by line only comes first in it.
func order(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Start, b.Start), cmp.Compare(a.number, b.number))
}
