package source

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/flate"
	"golang.org/x/sync/errgroup"
)

// Entry is one file of an archive.
type Entry struct {
	Worker int    // which goroutine hands it over, from 0
	Index  int    // its place in the archive
	Name   string // its path in the archive
	Record Record
	Err    error // why there is no record
}

// Info says what was met in an archive.
type Info struct {
	Entries int
	Ignored int       // folders and files that are no JSON
	Newest  time.Time // the youngest file's own date
}

// ReadZip hands each record of the archive at path to each, from as many
// goroutines as workers says. An error of each ends the reading, and so does an
// archive that is damaged (ErrArchive).
func ReadZip(ctx context.Context, path string, workers int, each func(*Entry) error) (Info, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, zip.ErrAlgorithm) {
			return Info{}, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		return Info{}, err
	}
	defer z.Close() //nolint:errcheck // it was only read
	if len(z.File) > MostRecords {
		return Info{}, fmt.Errorf("%w: it has %d files", ErrArchive, len(z.File))
	}
	// klauspost's inflate is twice as fast as the standard library's.
	inflaters := sync.Pool{New: func() any { return flate.NewReader(nil) }}
	z.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser {
		f := inflaters.Get().(io.ReadCloser)
		_ = f.(flate.Resetter).Reset(r, nil)
		return &pooled{f, &inflaters}
	})
	info := Info{Entries: len(z.File)}
	for _, f := range z.File {
		if f.Modified.After(info.Newest) && f.Modified.Year() > 1990 {
			info.Newest = f.Modified.UTC()
		}
	}
	var next, total, ignored atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for worker := range workers {
		group.Go(func() error {
			var buf bytes.Buffer
			for {
				i := int(next.Add(1)) - 1
				if i >= len(z.File) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				e := Entry{Worker: worker, Index: i, Name: z.File[i].Name}
				if strings.HasSuffix(e.Name, "/") {
					ignored.Add(1)
					continue
				}
				n, err := fill(&buf, z.File[i])
				if total.Add(n) > MostBytes {
					return fmt.Errorf("%w: it holds more than %d bytes", ErrArchive, int64(MostBytes))
				}
				switch {
				case errors.Is(err, errLarge):
					e.Err = err
				case err != nil:
					return fmt.Errorf("%w: %s: %w", ErrArchive, clip(e.Name), err)
				case !looksLikeJSON(buf.Bytes()) && !strings.HasSuffix(e.Name, ".json"):
					ignored.Add(1)
					continue
				default:
					e.Record, e.Err = Parse(buf.Bytes())
				}
				if err := each(&e); err != nil {
					return err
				}
			}
		})
	}
	err = group.Wait()
	info.Ignored = int(ignored.Load())
	return info, err
}

var errLarge = fmt.Errorf("it is larger than %d MB", LargestRecord>>20)

// fill reads one file of an archive and returns how many bytes that took.
func fill(buf *bytes.Buffer, f *zip.File) (int64, error) {
	buf.Reset()
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := buf.ReadFrom(io.LimitReader(r, LargestRecord+1))
	if err == nil && n > LargestRecord {
		err = errLarge
	}
	return n, err
}

func looksLikeJSON(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte(mark)), " \t\r\n")
	return len(b) > 0 && b[0] == '{'
}

type pooled struct {
	io.ReadCloser
	pool *sync.Pool
}

func (p *pooled) Close() error {
	if p.pool != nil {
		p.pool.Put(p.ReadCloser)
		p.pool = nil
	}
	return nil
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
