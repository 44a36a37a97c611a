package bpf

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cilium/ebpf/ringbuf"
)

// Events yields what the kernel tells, in order, until the context is done or the
// Layer is closed; an error ends it. One goroutine at a time may consume them. What
// is not consumed stays in the kernel's buffer; when that is full, events are lost and
// counted.
func (l *Layer) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		stop := context.AfterFunc(ctx, func() { _ = l.reader.Flush() })
		defer stop()
		var record ringbuf.Record
		for ctx.Err() == nil {
			err := l.reader.ReadInto(&record)
			switch {
			case errors.Is(err, ringbuf.ErrFlushed):
				continue
			case errors.Is(err, ringbuf.ErrClosed):
				return
			case err != nil:
				yield(Event{}, fmt.Errorf("reading events: %w", err))
				return
			}
			e, err := parseEvent(record.RawSample)
			if !yield(e, err) {
				return
			}
		}
	}
}
