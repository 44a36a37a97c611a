package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"touchstone.dev/touchstone/internal/report"
	"touchstone.dev/touchstone/internal/wholefile"
)

// output is one "-o FORMAT[=FILE]".
type output struct {
	format string
	file   string // "" is stdout
}

// outputs reads the values of -o; known are the formats that the command writes,
// the first being the default.
func outputs(values, known []string) ([]output, error) {
	if len(values) == 0 {
		values = known[:1]
	}
	var outs []output
	stdout := 0
	for _, v := range values {
		format, file, _ := strings.Cut(v, "=")
		if !slices.Contains(known, format) {
			return nil, fmt.Errorf("-o %s: there is no output format %q\nhint: one of %s", v, format, strings.Join(known, ", "))
		}
		if file == "" || file == "-" {
			file = ""
			stdout++
		}
		outs = append(outs, output{format, file})
	}
	if stdout > 1 {
		return nil, fmt.Errorf("-o: only one format can go to standard output\nhint: name a file for the others, as in -o sarif=out.sarif")
	}
	return outs, nil
}

// write writes each output whole: a file is replaced only once its new content
// is complete.
func (p *program) write(outs []output, render func(w io.Writer, format string, o report.Options) error) error {
	for _, out := range outs {
		var b bytes.Buffer
		if err := render(&b, out.format, p.reportOptions(out.file == "")); err != nil {
			return err
		}
		if out.file == "" {
			p.progress.clear()
			if _, err := p.stdout.Write(b.Bytes()); err != nil {
				return outside(fmt.Errorf("writing to standard output: %w", err))
			}
			continue
		}
		if err := wholefile.Write(out.file, b.Bytes(), 0o644); err != nil {
			return outside(err)
		}
	}
	return nil
}

// reportOptions says for whom a report is written: the terminal's reader, or a
// file's.
func (p *program) reportOptions(toStdout bool) report.Options {
	o := report.Options{TimeZone: time.Local, Now: p.now()}
	if columns, err := strconv.Atoi(p.getenv("COLUMNS")); err == nil && columns > 0 {
		o.Width = columns
	}
	if f, ok := p.stdout.(*os.File); ok && toStdout && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			o.Width = w
		}
		o.Color = p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb"
	}
	lang := p.getenv("LC_ALL") + p.getenv("LC_CTYPE") + p.getenv("LANG")
	o.ASCII = lang == "C" || lang == "POSIX"
	return o
}

// note tells people something beside the result.
func (p *program) note(format string, args ...any) {
	if p.settings.quiet {
		return
	}
	p.progress.clear()
	fmt.Fprintln(p.stderr, "note: "+shown(fmt.Sprintf(format, args...)))
}
