package packages

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"touchstone.dev/touchstone"
)

// readApk reads apk's database of installed packages: paragraphs of "X:value" lines
// (apk-installed; P name, V version, A architecture, o origin, L licence, F folder,
// R file in the last folder). An origin's version is the package's own.
func readApk(ctx context.Context, f *file) error {
	lines := bufio.NewReaderSize(f.Content, maxLine)
	var p apkPackage
	folder, malformed := "", false
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := err != nil
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case line == "":
			if err := p.finish(f); err != nil {
				return err
			}
			p, folder = apkPackage{}, ""
		case len(line) < 2 || line[1] != ':':
			if !malformed {
				malformed = true
				f.gap(touchstone.GapCorrupt, fmt.Sprintf("line %d is no field", number))
			}
		case line[0] == 'F':
			p.any, folder = true, line[2:]
		case line[0] == 'R':
			if err := f.own(folder + "/" + line[2:]); err != nil {
				return err
			}
		default:
			p.set(line[0], line[2:])
		}
		if end {
			return p.finish(f)
		}
	}
}

// apkPackage is one paragraph.
type apkPackage struct {
	any                                          bool
	name, version, architecture, origin, licence string
}

func (p *apkPackage) set(field byte, value string) {
	p.any = true
	switch field {
	case 'P':
		p.name = value
	case 'V':
		p.version = value
	case 'A':
		p.architecture = value
	case 'o':
		p.origin = value
	case 'L':
		p.licence = value
	}
}

func (p *apkPackage) finish(f *file) error {
	if !p.any {
		return nil
	}
	if p.name == "" || p.version == "" {
		f.gap(touchstone.GapCorrupt, fmt.Sprintf("a package of name %q and version %q", p.name, p.version))
		return nil
	}
	return f.add(touchstone.Package{
		Name: p.name, Version: p.version, Source: p.origin, Licences: licences(p.licence),
		PURL: purlOf("apk", "", p.name, p.version, "arch", p.architecture),
	})
}
