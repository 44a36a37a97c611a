package advisory

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/source"
)

// staged is a source that is about to become part of the folder. path is where
// its bytes lie now; empty for one that is part of it already.
type staged struct {
	Source
	path    string
	entries int // files of an archive
}

// stage collects what an import takes, below a folder of its own.
type stage struct {
	dir      string
	progress func(string, int64)
	staged   []staged
	ignored  []string
}

// Bounds on a folder of loose records.
const (
	mostIgnored = 100 // named
	deepest     = 2   // archives inside archives
)

// take stages what is at path.
func (st *stage) take(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	loose := &bundle{stage: st, origin: abs, partial: !info.IsDir()}
	defer loose.discard()
	if !info.IsDir() {
		if err := st.file(abs, loose, 0, false); err != nil {
			return err
		}
		return loose.close()
	}
	err = filepath.WalkDir(abs, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && p != abs:
			return fs.SkipDir // .git
		case !d.Type().IsRegular():
			return nil
		}
		return st.file(p, loose, 0, true)
	})
	return errors.Join(err, loose.close())
}

// file stages one file by what it holds. among is true for a file of a folder,
// where whatever is no source is passed over.
func (st *stage) file(path string, loose *bundle, depth int, among bool) error {
	kind, err := source.Recognise(path)
	if err != nil {
		return err
	}
	switch kind {
	case source.Zip:
		return st.archive(path, loose.origin, depth)
	case source.KEV, source.EPSS:
		return st.copy(path, kind)
	case source.Single:
		return loose.add(path)
	}
	switch {
	case among || depth > 0:
		if len(st.ignored) < mostIgnored {
			st.ignored = append(st.ignored, path)
		}
		return nil
	case kind == source.VEX:
		return errors.New("it is a VEX document, not an advisory\nhint: touchstone check --vex takes it")
	}
	return errors.New("it holds no advisories: it is neither a zip, an OSV or CVE record, CISA's list nor EPSS scores")
}

// archive stages a zip; one of zips, as CVE publishes them, by what is inside.
func (st *stage) archive(path, origin string, depth int) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("%w: %w", source.ErrArchive, err)
	}
	defer z.Close() //nolint:errcheck // it was only read
	nested := len(z.File) > 0 && len(z.File) <= 16
	for _, f := range z.File {
		nested = nested && strings.HasSuffix(strings.ToLower(f.Name), ".zip")
	}
	if nested {
		if depth == deepest {
			return fmt.Errorf("%w: archives lie in archives more than %d deep", source.ErrArchive, deepest)
		}
		for _, f := range z.File {
			inner, err := st.extract(f)
			if err != nil {
				return err
			}
			if err := st.file(inner, &bundle{stage: st, origin: origin}, depth+1, false); err != nil {
				return err
			}
		}
		return nil
	}
	about, err := source.About(path)
	if err != nil {
		return err
	}
	if about.Records == 0 {
		return errors.New("it is an archive without advisories")
	}
	s, err := st.keep(path, "zip")
	if err != nil {
		return err
	}
	s.Kind, s.Origin, s.entries = source.Zip, origin, len(z.File)
	if depth == 0 && origin != path {
		s.Origin = path
	}
	s.Name = about.Name
	if s.Name == "" {
		s.Name = "records/" + short(s.Origin)
	}
	st.staged = append(st.staged, s)
	return nil
}

// copy stages CISA's list or EPSS scores.
func (st *stage) copy(path string, kind source.Kind) error {
	s, err := st.keep(path, string(kind))
	if err != nil {
		return err
	}
	s.Kind, s.Origin, s.Name = kind, path, string(kind)
	st.staged = append(st.staged, s)
	return nil
}

// keep copies a file below the stage and takes its digest.
func (st *stage) keep(path, suffix string) (staged, error) {
	st.progress("copying "+filepath.Base(path), 0)
	in, err := os.Open(path)
	if err != nil {
		return staged{}, err
	}
	defer in.Close()
	return st.write(in, suffix)
}

func (st *stage) write(in io.Reader, suffix string) (staged, error) {
	out, err := os.CreateTemp(st.dir, "source-*")
	if err != nil {
		return staged{}, fmt.Errorf("keep a source: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, source.LargestArchive+1))
	if err == nil && n > source.LargestArchive {
		err = fmt.Errorf("it is larger than %d GB", source.LargestArchive>>30)
	}
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return staged{}, fmt.Errorf("keep a source: %w", err)
	}
	digest := fmt.Sprintf("%x", sum.Sum(nil))
	return staged{
		Source: Source{File: digest + "." + suffix, SHA256: touchstone.Digest("sha256:" + digest), Size: n},
		path:   out.Name(),
	}, nil
}

// extract writes a file of an archive to the stage.
func (st *stage) extract(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", fmt.Errorf("%w: %w", source.ErrArchive, err)
	}
	defer r.Close()
	s, err := st.write(r, "zip")
	if err != nil {
		return "", fmt.Errorf("%w: %w", source.ErrArchive, err)
	}
	return s.path, nil
}

// short names an origin: its last part and a few digits of its digest.
func short(origin string) string {
	return fmt.Sprintf("%s-%x", filepath.Base(origin), sha256.Sum256([]byte(origin)))[:len(filepath.Base(origin))+9]
}

// bundle makes one archive of the loose records of a folder.
type bundle struct {
	stage   *stage
	origin  string
	file    *os.File
	zip     *zip.Writer
	entries int
	partial bool
}

func (b *bundle) add(path string) error {
	if b.zip == nil {
		f, err := os.CreateTemp(b.stage.dir, "bundle-*")
		if err != nil {
			return fmt.Errorf("keep a source: %w", err)
		}
		b.file, b.zip = f, zip.NewWriter(f)
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(b.origin, path)
	if err != nil || name == "." {
		name = filepath.Base(path)
	}
	// The file's own date is that of a copy as often as not: it says nothing
	// of when the record was current, and is left out.
	w, err := b.zip.CreateHeader(&zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate})
	if err != nil {
		return fmt.Errorf("keep a source: %w", err)
	}
	if _, err := io.Copy(w, io.LimitReader(in, source.LargestRecord+1)); err != nil {
		return fmt.Errorf("keep %s (%d bytes): %w", name, info.Size(), err)
	}
	if b.entries++; b.entries > source.MostRecords {
		return fmt.Errorf("it holds more than %d records", source.MostRecords)
	}
	if b.entries%1000 == 0 {
		b.stage.progress("packing "+filepath.Base(b.origin), int64(b.entries))
	}
	return nil
}

// close stages what was bundled.
func (b *bundle) close() error {
	if b.zip == nil {
		return nil
	}
	if err := errors.Join(b.zip.Close(), b.file.Close()); err != nil {
		return fmt.Errorf("keep a source: %w", err)
	}
	s, err := b.stage.keep(b.file.Name(), "zip")
	if err != nil {
		return err
	}
	s.Kind, s.Origin, s.Name, s.entries = source.Zip, b.origin, "records/"+short(b.origin), b.entries
	s.Partial = b.partial
	b.stage.staged = append(b.stage.staged, s)
	b.zip = nil
	return nil
}

func (b *bundle) discard() {
	if b.zip != nil {
		_ = b.file.Close()
	}
}
