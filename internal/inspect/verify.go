package inspect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone"
)

// verify finds out, with as little reading as is safe, whether the layer was
// read before, and then takes what was found then. It reads nothing where the
// stored bytes are recognised, hashes them where their digest is known, and
// decompresses and hashes them where only the diff ID is. A layer that turns out
// to be another is left to be read whole.
func (run *inspection) verify(ctx context.Context, l *layer) error {
	if s, ok := run.recall(l); ok {
		run.adopt(l, ending{digest: s.Digest, size: s.Size, diffID: s.DiffID})
		return nil
	}
	if !run.lasting {
		return nil
	}
	if l.Digest != "" {
		if s, ok := run.sought("digest " + string(l.Digest)); ok {
			if r, ok := run.recallLayer(s.DiffID); ok {
				end, err := run.hashStored(ctx, l)
				if err == nil && end.digest == s.Digest {
					end.diffID = s.DiffID
					run.take(l, r, end)
				}
				return err
			}
		}
	}
	if r, ok := run.recallLayer(l.DiffID); ok {
		end, err := run.withStream(ctx, l, func(*stream) {})
		if err == nil && end.err == nil && end.diffID == l.DiffID {
			run.take(l, r, end)
		}
		return err
	}
	return nil
}

// adopt takes the record of the diff ID that the layer has, if there is one.
func (run *inspection) adopt(l *layer, end ending) {
	if r, ok := run.recallLayer(end.diffID); ok {
		run.take(l, r, end)
	}
}

func (run *inspection) take(l *layer, r record, end ending) {
	l.record, l.known = r, true
	l.digest, l.diffID, l.size = end.digest, end.diffID, end.size
	l.compare(end)
	run.rememberSeen(l)
	run.config.Progress(Event{Layer: l.index, Layers: l.layers, Done: l.size, Size: l.size, Known: true})
}

// hashStored reads the stored bytes of the layer and nothing more. What is wrong
// with them shows when they are read whole.
func (run *inspection) hashStored(ctx context.Context, l *layer) (ending, error) {
	source, err := l.Open(ctx)
	if err != nil {
		return ending{}, ifFatal(err)
	}
	defer source.Close()
	h := sha256.New()
	var stored io.Reader = source
	if l.Size >= 0 {
		stored = io.LimitReader(source, l.Size+1)
	}
	size, err := io.CopyBuffer(h, stored, make([]byte, aheadBuffer))
	if err != nil {
		return ending{}, ifFatal(err)
	}
	return ending{digest: touchstone.NewDigest(h.Sum(nil)), size: size}, nil
}

// read reads all layers, the largest first so that none is left alone at the
// end, as many at once as cores and memory allow.
func (run *inspection) read(ctx context.Context) error {
	group, inGroup := errgroup.WithContext(ctx)
	for _, l := range bySize(run.layers) {
		if run.Inspector.layers.Acquire(inGroup, 1) != nil {
			break // a layer has failed, or the caller has gone
		}
		group.Go(func() error {
			defer run.Inspector.layers.Release(1)
			return run.readLayer(inGroup, l)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func bySize(layers []*layer) []*layer {
	return slices.SortedStableFunc(slices.Values(layers), func(a, b *layer) int { return cmp.Compare(b.Size, a.Size) })
}
