package packages

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	scalibr "github.com/google/osv-scalibr/extractor/filesystem"
	"go.uber.org/multierr"

	"touchstone.dev/touchstone"
)

// readJava reads a Java archive and the archives inside it. scalibr finds what one
// archive is (pom.properties, manifest, file name); the walk into nested ones is
// done here, because scalibr unpacks each wholly into memory. An archive that says
// nothing of itself proves no package: mostly it is the application's own.
func (e extractors) readJava(ctx context.Context, f *file) error {
	w := &javaWalk{extractor: e.java, file: f, left: f.config.MaxArchive}
	w.archive(ctx, f.Path, f.Content, f.Size, 0)
	return nil
}

// javaWalk is the walk through one archive and all archives inside it.
type javaWalk struct {
	extractor scalibr.Extractor
	file      *file
	left      int64 // bytes that may still come out of inner archives
}

// archive reads the archive at path, which for an inner one is the path of the
// outer one and its own within it. What fails is noted, and the walk goes on.
func (w *javaWalk) archive(ctx context.Context, path string, content Content, size int64, depth int) {
	entries, err := openZip(content, size)
	if err != nil {
		w.fail(path, err)
		return
	}
	if err := describable(entries.File); err != nil {
		w.fail(path, err)
	} else {
		w.fail(path, w.extract(ctx, path, content, size))
	}
	for _, entry := range entries.File {
		dot := strings.LastIndexByte(entry.Name, '.')
		if dot < 0 || entry.Mode().IsDir() || !isJavaExtension(entry.Name[dot:]) {
			continue
		}
		if err := w.inner(ctx, path+"/"+entry.Name, entry, depth+1); err != nil {
			w.fail(path+"/"+entry.Name, err)
			if errors.Is(err, errLimit) {
				return // one gap says it; a bomb holds thousands more
			}
		}
	}
}

// maxDescription bounds the files that say what an archive is, which scalibr
// unpacks whatever their size. Manifests of signed archives have some megabytes.
const maxDescription = 32 << 20

// describable reports why it is not safe to look what the archive is.
func describable(entries []*zip.File) error {
	sum := uint64(0)
	for _, e := range entries {
		base := e.Name[strings.LastIndexByte(e.Name, '/')+1:]
		if base != "pom.properties" && !strings.EqualFold(base, "MANIFEST.MF") {
			continue
		}
		if sum += min(e.UncompressedSize64, maxDescription+1); sum > maxDescription {
			return fmt.Errorf("%w: the manifests and properties in an archive unpack to more than %d bytes", errLimit, maxDescription)
		}
	}
	return nil
}

func (w *javaWalk) inner(ctx context.Context, path string, entry *zip.File, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > w.file.config.MaxArchiveDepth {
		return fmt.Errorf("%w: archives lie more than %d deep in one another", errLimit, w.file.config.MaxArchiveDepth)
	}
	size := entry.UncompressedSize64
	if size > uint64(w.left) {
		return fmt.Errorf("%w: the archives inside hold more than %d bytes", errLimit, w.file.config.MaxArchive)
	}
	w.left -= int64(size)
	r, err := entry.Open()
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer func() { _ = r.Close() }() // it was only read
	content, done, err := spool(r, int64(size))
	if err != nil {
		return err
	}
	defer done()
	if head := make([]byte, 2); size >= 2 {
		if _, err := content.ReadAt(head, 0); err == nil && string(head) != "PK" && !isRunnable(path) {
			return nil // something else of that extension
		}
	}
	w.archive(ctx, path, content, int64(size), depth)
	return nil
}

// isRunnable reports whether Java loads archives of that name, so that one that
// cannot be read is missed.
func isRunnable(path string) bool {
	return strings.HasSuffix(path, ".jar") || strings.HasSuffix(path, ".war") || strings.HasSuffix(path, ".ear")
}

// extract asks scalibr what the archive itself is. It complains of every inner
// archive, because it was told not to look into them.
func (w *javaWalk) extract(ctx context.Context, path string, content Content, size int64) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	found, err := w.extractor.Extract(ctx, &scalibr.ScanInput{
		FS: emptyFS{}, Path: path, Info: sized{w.file.Info, size}, Reader: content,
	})
	for _, p := range found.Packages {
		if p.Name == "unknown" || p.Version == "" {
			continue
		}
		if err := w.file.add(touchstone.Package{
			Name: p.Name, Version: p.Version, Ecosystem: p.Ecosystem().String(), PURL: p.PURL().String(),
		}); err != nil {
			return err
		}
	}
	var rest []error
	for _, one := range multierr.Errors(innermost(err)) {
		if !strings.Contains(one.Error(), "reached max zip depth") {
			rest = append(rest, one)
		}
	}
	return errors.Join(rest...)
}

// innermost takes the sentence off that scalibr puts around all errors.
func innermost(err error) error {
	if inner := errors.Unwrap(err); inner != nil && len(multierr.Errors(inner)) > 0 {
		return inner
	}
	return err
}

func (w *javaWalk) fail(path string, err error) {
	if err == nil {
		return
	}
	if inner, ok := strings.CutPrefix(path, w.file.Path+"/"); ok {
		err = fmt.Errorf("%s: %w", inner, err)
	}
	w.file.fail(err)
}
