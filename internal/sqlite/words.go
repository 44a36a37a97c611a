package sqlite

import (
	"context"
	"fmt"
	"sync"
)

// words are the numbers of kinds, as far as this process knows them: all of them
// where it is the one that writes. There are few, they never change, and only those
// that are committed stand here.
type words struct {
	ids sync.Map // string → int64
}

// readWords reads the kinds that are there.
func (s *Store) readWords(ctx context.Context) error {
	rows, err := s.points.QueryContext(ctx, "SELECT word, id FROM words")
	if err != nil {
		return fmt.Errorf("reading the kinds: %w", fault(err))
	}
	defer rows.Close()
	for rows.Next() {
		var word string
		var id int64
		if err := rows.Scan(&word, &id); err != nil {
			return fmt.Errorf("reading the kinds: %w", fault(err))
		}
		s.words.ids.Store(word, id)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the kinds: %w", fault(err))
	}
	return nil
}

// kind returns the number of a kind, and whether anything of that kind was ever
// written.
func (s *Store) kind(ctx context.Context, word string) (int64, bool, error) {
	if id, ok := s.words.ids.Load(word); ok {
		return id.(int64), true, nil
	}
	if s.writer != nil {
		return 0, false, nil
	}
	if err := s.readWords(ctx); err != nil {
		return 0, false, err
	}
	id, ok := s.words.ids.Load(word)
	if !ok {
		return 0, false, nil
	}
	return id.(int64), true, nil
}
