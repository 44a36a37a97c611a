package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/artifact/compression"
	"touchstone.dev/touchstone/internal/artifact/reference"
)

// floor decompresses every layer of the image, as many at once as there are
// cores, and returns how long that took and how large the layers are as stored.
func floor(image string) (time.Duration, int64, error) {
	sources, err := reference.Open(context.Background(), image, reference.Options{})
	if err != nil {
		return 0, 0, err
	}
	if len(sources) != 1 {
		return 0, 0, fmt.Errorf("%d images in %s", len(sources), image)
	}
	defer func() { _ = sources[0].Close() }()
	var stored int64
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	start := time.Now()
	for _, l := range sources[0].Layers() {
		stored += max(l.Size, 0)
		g.Go(func() error { return decompress(l) })
	}
	err = g.Wait()
	return time.Since(start), stored, err
}

func decompress(l artifact.Layer) error {
	in, err := l.Open(context.Background())
	if err != nil {
		return err
	}
	defer in.Close()
	r, _, err := compression.NewReader(in)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 1<<20))
	return err
}
