package bpf

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

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
			if record.Remaining == 0 {
				// Who waits at the end of the ring has the kernel wake it at the very next
				// event, which whoever makes that pays for: so they gather first.
				gather(ctx)
			}
		}
	}
}

// gathering is how long events gather in the ring after all there were have been read.
const gathering = time.Millisecond

func gather(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(gathering):
	}
}
