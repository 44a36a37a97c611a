package sqlite

import (
	"context"
	"database/sql"

	"touchstone.dev/touchstone/internal/record"
)

// few lists facts with tags that hardly any fact has, which is what is asked most:
// what concerns one artifact. They are read at once, on a connection that waits for
// no caller; a list that a caller goes through needs one of its own, and hundreds of
// those at a time take memory. done is false where there are more of them.
func (s *Store) few(ctx context.Context, q record.FactQuery, kind int64, give func(record.Fact) error) (done bool, err error) {
	var found []record.Fact
	tx, err := s.points.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read, and a second time does nothing
	l := listing{Store: s, tx: tx, q: q, kind: kind, give: func(f record.Fact) error {
		found = append(found, f)
		return nil
	}}
	wanted, err := l.wanted(ctx)
	if err != nil {
		return false, err
	}
	if wanted != nil {
		if !wanted[0].few {
			return false, nil
		}
		if err := l.fetch(ctx, wanted); err != nil {
			return false, err
		}
	}
	if err := tx.Rollback(); err != nil {
		return false, err
	}
	for i := range found {
		if err := give(found[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}
