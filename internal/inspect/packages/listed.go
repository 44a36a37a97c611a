package packages

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"touchstone.dev/touchstone"
)

// readPacmanFiles reads which files a package of pacman has: paths without a
// leading slash behind the line "%FILES%".
func readPacmanFiles(ctx context.Context, f *file) error {
	files := false
	return eachLine(ctx, f.Content, func(line string) error {
		if strings.HasPrefix(line, "%") {
			files = line == "%FILES%"
			return nil
		}
		if !files || strings.HasSuffix(line, "/") {
			return nil
		}
		return f.own(line)
	})
}

// readPortageList reads which files a package of Portage has: "obj PATH MD5 MTIME"
// for files, where the path may hold spaces.
func readPortageList(ctx context.Context, f *file) error {
	return eachLine(ctx, f.Content, func(line string) error {
		rest, ok := strings.CutPrefix(line, "obj ")
		if !ok {
			return nil
		}
		for range 2 {
			i := strings.LastIndexByte(rest, ' ')
			if i < 0 {
				return nil
			}
			rest = rest[:i]
		}
		return f.own(rest)
	})
}

// readChisel reads the manifest of Canonical's chisel: lines of JSON, compressed
// with zstd. It has no names of sources.
func readChisel(ctx context.Context, f *file) error {
	r, err := zstd.NewReader(f.Content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderMaxWindow(16<<20))
	if err != nil {
		return fmt.Errorf("decompress the manifest: %w", err)
	}
	defer r.Close()
	limit := &io.LimitedReader{R: r, N: maxChisel}
	lines := bufio.NewReaderSize(limit, maxLine)
	for {
		text, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("decompress the manifest: %w", err)
		}
		if limit.N <= 0 {
			return fmt.Errorf("%w: the manifest unpacks to more than %d bytes", errLimit, maxChisel)
		}
		if cause := ctx.Err(); cause != nil {
			return cause
		}
		if text != "" {
			if err := addChisel(f, text); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// maxChisel bounds the unpacked manifest; that of a whole distribution has some 20 MB.
const maxChisel = 256 << 20

func addChisel(f *file, text string) error {
	var line struct {
		Kind, Name, Version, Arch, Path string
	}
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	switch line.Kind {
	case "path":
		return f.own(line.Path)
	case "package":
		if line.Name == "" || line.Version == "" {
			return fmt.Errorf("a package of name %q and version %q", line.Name, line.Version)
		}
		return f.add(touchstone.Package{
			Name: line.Name, Version: line.Version,
			PURL: purlOf("deb", "", line.Name, line.Version, "arch", line.Arch),
		})
	}
	return nil
}
