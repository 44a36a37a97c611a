package record

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
)

// Document is a fact whose value has been read as a T.
type Document[T any] struct {
	Fact
	Content T
}

// Get returns the document under a kind and a key, and its fact, whose Seq a
// change may name in its Condition. Errors: ErrNotFound, or that of the store.
func Get[T any](ctx context.Context, s Store, kind, key string) (T, Fact, error) {
	var content T
	f, err := s.Fact(ctx, kind, key)
	if err != nil {
		return content, Fact{}, err
	}
	err = decode(f, &content)
	return content, f, err
}

// List yields the documents that a query selects, in the order of their keys and
// as of one moment. It ends with the first error.
func List[T any](ctx context.Context, s Store, q FactQuery) iter.Seq2[Document[T], error] {
	return func(yield func(Document[T], error) bool) {
		for f, err := range s.Facts(ctx, q) {
			d := Document[T]{Fact: f}
			if err == nil {
				err = decode(f, &d.Content)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Put returns the fact that v is true under the kind and key, for a Change. Set
// its If where it must not overwrite what somebody else has written.
func Put(kind, key string, v any, tags ...string) (Fact, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return Fact{}, fmt.Errorf("writing the fact %s %q: %w", kind, key, err)
	}
	return Fact{Kind: kind, Key: key, Value: value, Tags: tags}, nil
}

func decode(f Fact, into any) error {
	if err := json.Unmarshal(f.Value, into); err != nil {
		return fmt.Errorf("reading the fact %s %q: %w", f.Kind, f.Key, err)
	}
	return nil
}
