package packages

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// stanza is one paragraph of a control file: its wanted fields by lower-case name.
type stanza map[string]string

// readControl calls yield with each paragraph of a control file: "Name: value"
// lines, continued by lines that begin with a space or tab, paragraphs apart by an
// empty line (deb-control(5); METADATA and DESCRIPTION files look the same). Only
// the first line of the wanted fields is kept; where a field comes again, the first
// counts, and that it says something else the second time is reported once the rest
// is read, as are lines that are none of these.
func readControl(r io.Reader, wanted func(field string) bool, yield func(stanza) error) error {
	lines := bufio.NewReaderSize(r, maxLine)
	current := stanza{}
	fields, malformed := 0, error(nil)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := err != nil
		switch {
		case strings.TrimSpace(line) == "":
			if fields > 0 {
				if err := yield(current); err != nil {
					return err
				}
			}
			current, fields = stanza{}, 0
		case line[0] == ' ' || line[0] == '\t' || line[0] == '#':
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok || strings.ContainsAny(name, " \t") {
				if malformed == nil {
					malformed = fmt.Errorf("line %d is no field", number)
				}
				break
			}
			fields++
			name = strings.ToLower(name)
			if !wanted(name) {
				break
			}
			value = strings.TrimSpace(value)
			switch first, again := current[name]; {
			case !again:
				current[name] = value
			case first != value && malformed == nil:
				malformed = fmt.Errorf("line %d has another %s than the same paragraph before", number, name)
			}
		}
		if end {
			if fields > 0 {
				if err := yield(current); err != nil {
					return err
				}
			}
			return malformed
		}
	}
}

// maxLine is how much of a line is kept. What is longer is no name or version.
const maxLine = 64 << 10

// readLine returns the next line without its end, cut off after maxLine bytes. The
// error is io.EOF with the last line, which may be empty.
func readLine(r *bufio.Reader) (string, error) {
	part, err := r.ReadSlice('\n')
	line := strings.TrimRight(string(part), "\r\n")
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return line, err
}

// errStop ends a walk that has seen enough.
var errStop = errors.New("seen enough")
