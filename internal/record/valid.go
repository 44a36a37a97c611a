package record

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
)

// Limits of what is written down. A body is documents about one thing, never the
// thing itself.
const (
	MaxText  = 64 << 10  // bytes in any of ID, Kind, Actor, About, Key and a tag
	MaxBytes = 256 << 20 // bytes in a body, a blob and a value
)

// Validate says why a change cannot be written by any store: text that is not
// UTF-8 or holds a NUL (databases cut it off there), no kind or key, an ID that
// is no ULID, or what is beyond the limits.
func (c *Change) Validate() error {
	if c.ID != "" {
		if _, err := ulid.ParseStrict(c.ID); err != nil {
			return fmt.Errorf("writing an entry: its id %.40q is not a ULID", c.ID)
		}
	}
	if c.Kind == "" {
		return errors.New("writing an entry: it has no kind")
	}
	if err := texts(c.Kind, c.Actor, c.About); err != nil {
		return fmt.Errorf("writing an entry of the kind %.40q: %w", c.Kind, err)
	}
	for _, b := range append([][]byte{c.Body}, c.Blobs...) {
		if len(b) > MaxBytes {
			return fmt.Errorf("writing an entry of the kind %.40q: %d bytes, at most %d", c.Kind, len(b), MaxBytes)
		}
	}
	for i := range c.Facts {
		if err := c.Facts[i].validate(); err != nil {
			return fmt.Errorf("writing the fact %.40q %.80q: %w", c.Facts[i].Kind, c.Facts[i].Key, err)
		}
	}
	return nil
}

func (f *Fact) validate() error {
	switch {
	case f.Kind == "" || f.Key == "":
		return errors.New("it has no kind or no key")
	case len(f.Value) > MaxBytes:
		return fmt.Errorf("%d bytes, at most %d", len(f.Value), MaxBytes)
	case f.If.Absent && f.If.Seq != 0:
		return errors.New("it cannot be absent and of an entry")
	}
	for _, t := range f.Tags {
		if t == "" {
			return errors.New("a tag is empty")
		}
	}
	if err := texts(f.Tags...); err != nil {
		return err
	}
	return texts(f.Kind, f.Key)
}

func texts(all ...string) error {
	for _, s := range all {
		switch {
		case len(s) > MaxText:
			return fmt.Errorf("text of %d bytes, at most %d", len(s), MaxText)
		case !utf8.ValidString(s):
			return fmt.Errorf("%.80q is not UTF-8", s)
		case strings.Contains(s, "\x00"):
			return fmt.Errorf("%.80q holds a NUL", s)
		}
	}
	return nil
}
