package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// words are the numbers of kinds, as far as this process knows them. There are
// few, they never change, and only those that are committed stand here.
type words struct {
	ids sync.Map // string → int64
}

// id returns the number of a kind, and whether anything of that kind was ever
// written.
func (s *Store) kind(ctx context.Context, word string) (int64, bool, error) {
	if id, ok := s.words.ids.Load(word); ok {
		return id.(int64), true, nil
	}
	var id int64
	err := s.points.QueryRowContext(ctx, "SELECT id FROM words WHERE word = ?", word).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("reading the kinds: %w", fault(err))
	}
	s.words.ids.Store(word, id)
	return id, true, nil
}
