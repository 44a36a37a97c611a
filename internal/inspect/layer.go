package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/manifest"
)

// layer is one layer of the artifact being inspected, as it is claimed to be and
// as it was found.
type layer struct {
	artifact.Layer
	index  int
	layers int // how many there are
	// What was read. The digests are empty where the layer could not be read to
	// its end.
	digest touchstone.Digest
	diffID touchstone.Digest
	size   int64
	record record
	// forms are gaps that the stored form of the layer causes, apart from what
	// its plain bytes do: only the latter are remembered by diff ID.
	forms    []touchstone.Gap
	known    bool // the record was found, not made
	unstable bool // reading again may yield more: nothing is remembered
	mapping  *blob.Mapping
	entries  *manifest.Reader
}

// gap tells something wrong with the stored form.
func (l *layer) gap(kind touchstone.GapKind, format string, args ...any) {
	l.forms = append(l.forms, touchstone.Gap{Kind: kind, Reader: "layer", Reason: fmt.Sprintf(format, args...)})
}

// true reports whether the layer was read to its end and is what is claimed.
func (l *layer) true() bool { return l.diffID != "" && len(l.forms) == 0 }

func (l *layer) close() {
	if l.mapping != nil {
		l.mapping.Close()
		l.mapping = nil
	}
}

// inspection is one artifact being inspected.
type inspection struct {
	*Inspector
	artifact touchstone.Artifact
	image    image
	layers   []*layer
	weight   atomic.Int64 // of the records of the layers
}

func (run *inspection) close() {
	for _, l := range run.layers {
		l.close()
	}
}

// readLayer reads a layer, or finds what was read before. Gaps end up in the
// layer; the error is one that ends the inspection.
func (run *inspection) readLayer(ctx context.Context, l *layer) error {
	var err error
	switch {
	case l.Absent != "":
		l.gap(touchstone.GapAbsent, "%s", l.Absent)
	case l.Root != "":
		err = run.readFolder(ctx, l)
	default:
		err = run.readTar(ctx, l)
	}
	if err != nil {
		return err
	}
	run.weigh(l)
	return run.openEntries(l)
}

// readTar finds what was read before, or reads the layer whole.
func (run *inspection) readTar(ctx context.Context, l *layer) error {
	if err := run.verify(ctx, l); err != nil {
		return err
	}
	if l.known {
		err := run.openEntries(l)
		if !errors.Is(err, blob.ErrAbsent) {
			return err
		}
		l.known, l.record, l.forms = false, record{}, nil // its manifest was damaged
	}
	return run.readStream(ctx, l)
}

// openEntries maps the manifest of the layer.
func (run *inspection) openEntries(l *layer) error {
	if l.entries != nil {
		return nil
	}
	if l.record.Manifest == "" { // nothing could be read
		return run.writeEntries(l, func(*manifest.Writer) error { return nil })
	}
	m, err := run.store.Map(l.record.Manifest)
	if err != nil {
		return outside(err)
	}
	l.mapping = m
	l.entries, err = manifest.Open(m.Bytes())
	return outside(err)
}

// writeEntries makes and maps the manifest of the layer.
func (run *inspection) writeEntries(l *layer, write func(*manifest.Writer) error) error {
	w, err := run.writeManifest(write)
	if err != nil {
		return err
	}
	l.record.Manifest, l.mapping, l.entries = w.blob, w.mapping, w.reader
	return nil
}

// readStream reads a layer that is a tar, whole.
func (run *inspection) readStream(ctx context.Context, l *layer) error {
	c := run.newCollector(ctx)
	defer c.abandon()
	var walked error
	end, err := run.withStream(ctx, l, func(s *stream) { walked = c.walkTar(s, run.image.present) })
	if err != nil {
		return err
	}
	if fatal(walked) {
		return walked
	}
	l.digest, l.diffID, l.size = end.digest, end.diffID, end.size
	switch {
	case end.err != nil:
		kind, reason := blame(end.err)
		l.gap(kind, "%s", reason)
	case walked != nil:
		kind, reason := blame(walked)
		c.addf(kind, "", "tar", "%s", reason)
	case end.nonzero:
		c.addf(touchstone.GapCorrupt, "", "tar", "bytes follow the end of the archive")
	}
	l.compare(end)
	return run.conclude(ctx, l, c)
}

// compare holds what was read against what is claimed.
func (l *layer) compare(end ending) {
	if end.digest != "" {
		switch {
		case l.Size >= 0 && end.size > l.Size:
			l.gap(touchstone.GapFalse, "the layer is longer than the %d bytes that its manifest claims", l.Size)
		case l.Size >= 0 && end.size < l.Size:
			l.gap(touchstone.GapFalse, "the layer has %d bytes and its manifest claims %d", end.size, l.Size)
		case l.Digest != "" && l.Digest != end.digest:
			l.gap(touchstone.GapFalse, "the layer's bytes are %s and its manifest claims %s", end.digest, l.Digest)
		}
	}
	if end.diffID != "" && l.DiffID != "" && l.DiffID != end.diffID {
		l.gap(touchstone.GapFalse, "the layer's diff ID is %s and the config claims %s", end.diffID, l.DiffID)
	}
}

// withStream opens the stream of a layer, has it read, and reads the rest. Where
// the layer cannot even be opened, that is told in its ending.
func (run *inspection) withStream(ctx context.Context, l *layer, read func(*stream)) (ending, error) {
	s, err := run.openStream(ctx, l)
	if err != nil {
		return ending{err: err}, ifFatal(err)
	}
	defer s.close()
	read(s)
	end := s.end()
	return end, ifFatal(end.err)
}

func ifFatal(err error) error {
	if fatal(err) {
		return err
	}
	return nil
}

// conclude makes the record of a layer and keeps it, once all its files have
// been seen.
func (run *inspection) conclude(ctx context.Context, l *layer, c *collector) error {
	if err := c.finish(); err != nil {
		return outside(err)
	}
	c.settle()
	if err := run.writeEntries(l, c.writeTo); err != nil {
		return err
	}
	if l.diffID != "" {
		if err := run.rereadLinks(ctx, l, c); err != nil {
			return err
		}
	}
	blob := l.record.Manifest
	l.record = c.result()
	l.record.Manifest = blob
	l.unstable = c.unstable
	if l.true() && !l.unstable {
		run.rememberLayer(l)
	}
	return nil
}
