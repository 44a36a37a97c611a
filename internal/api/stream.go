package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
)

// Events yields decisions and scans as they happen, until the context ends or the
// server does. What happened before, or while nobody listened, is in the log.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := c.safe(); err != nil {
			yield(Event{}, err)
			return
		}
		res, err := c.send(ctx, call{method: http.MethodGet, path: "/v1/events"}, nil, "")
		if err != nil {
			yield(Event{}, unreached(c.Base, err))
			return
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			data, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the status says enough without it
			yield(Event{}, problemOf(res, data))
			return
		}
		if err := readEvents(res.Body, yield); err != nil && ctx.Err() == nil {
			yield(Event{}, fmt.Errorf("the stream of events broke off: %w", err))
		}
	}
}

// readEvents reads a stream as the HTML standard writes it (section 9.2,
// Server-sent events), of which a server sends only data and comments. It
// returns nil when nobody wants more.
func readEvents(r io.Reader, yield func(Event, error) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return err
		}
		if !yield(e, nil) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
