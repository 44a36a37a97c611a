package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"

	"touchstone.dev/touchstone/internal/record"
)

// Health says what is wrong with the store now, nil where nothing is: it writes a
// number and waits until that is on disk, reads the end of the log, and tells why
// the last checkpoint could not be kept. It takes milliseconds.
func (s *Store) Health(ctx context.Context) error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.do(ctx, &job{apply: func(w *writer) error {
			_, err := w.conn.ExecContext(bg(), "UPDATE counters SET value = value + 1 WHERE name = 'probe'")
			return err
		}}))
	}
	for _, err := range s.Entries(ctx, record.EntryQuery{Descending: true, Limit: 1}) {
		errs = append(errs, err)
	}
	if s.signs != nil {
		s.signs.mu.Lock()
		errs = append(errs, s.signs.err)
		s.signs.mu.Unlock()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the record: %w", err)
	}
	return nil
}

// Check looks at every page, index and row, and says what is damaged. It reads
// the whole file, while others commit. Whether the log tells the truth is
// record.Verify's question.
func (s *Store) Check(ctx context.Context) error {
	rows, err := s.streams.QueryContext(ctx, "PRAGMA integrity_check(20)")
	if err != nil {
		return reading(ctx, "the record", err)
	}
	defer rows.Close()
	var errs []error
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return reading(ctx, "the record", err)
		}
		if line != "ok" {
			errs = append(errs, fmt.Errorf("%w: %s", record.ErrCorrupt, line))
		}
	}
	if err := rows.Err(); err != nil {
		errs = append(errs, reading(ctx, "the record", err))
	}
	if len(errs) == 0 {
		errs = append(errs, s.checkFacts(ctx))
	}
	return errors.Join(errs...)
}

// checkFacts reads every fact, and holds the tags that they name against those by
// which they are found.
func (s *Store) checkFacts(ctx context.Context) error {
	tx, err := s.streams.BeginTx(ctx, nil)
	if err != nil {
		return reading(ctx, "the facts", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	ids := map[tag]int64{}
	rows, err := tx.QueryContext(ctx, "SELECT kind, tag, id FROM tags")
	if err != nil {
		return reading(ctx, "the tags", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t tag
		var id int64
		if err := rows.Scan(&t.kind, &t.text, &id); err != nil {
			return reading(ctx, "the tags", err)
		}
		ids[t] = id
	}
	named, err := s.namedTags(ctx, tx, ids)
	if err != nil {
		return err
	}
	var found check
	rows, err = tx.QueryContext(ctx, "SELECT bucket, fact, bits FROM tagged")
	if err != nil {
		return reading(ctx, "the tags", err)
	}
	defer rows.Close()
	for rows.Next() {
		var bucket, fact, bits int64
		if err := rows.Scan(&bucket, &fact, &bits); err != nil {
			return reading(ctx, "the tags", err)
		}
		found.add(bucket, fact, bits)
	}
	if err := rows.Err(); err != nil {
		return reading(ctx, "the tags", err)
	}
	if found != named {
		return fmt.Errorf("%w: facts are found by other tags than they have", record.ErrCorrupt)
	}
	return nil
}

// namedTags sums up the tags that all facts name.
func (s *Store) namedTags(ctx context.Context, tx *sql.Tx, ids map[tag]int64) (check, error) {
	var named check
	rows, err := tx.QueryContext(ctx, "SELECT f.id, f.kind, w.word, "+factColumns+" FROM facts f LEFT JOIN words w ON w.id = f.kind")
	if err != nil {
		return named, reading(ctx, "the facts", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f record.Fact
		var id, kind, sum int64
		var tags, value []byte
		if err := rows.Scan(&id, &kind, &f.Kind, &f.Key, &f.Seq, &sum, &tags, &value); err != nil {
			return named, reading(ctx, "the facts", err)
		}
		if err := s.unpackFact(&f, sum, tags, value); err != nil {
			return named, fmt.Errorf("the fact %s %q: %w", f.Kind, f.Key, err)
		}
		numbers := make([]int64, len(f.Tags))
		for i, t := range f.Tags {
			numbers[i] = ids[tag{kind, t}]
		}
		for bucket, bits := range bitsOf(numbers) {
			named.add(bucket, id, bits)
		}
	}
	if err := rows.Err(); err != nil {
		return named, reading(ctx, "the facts", err)
	}
	return named, nil
}

// check sums up rows of the table tagged, in any order.
type check struct {
	rows int
	sum  uint64
}

func (c *check) add(bucket, fact, bits int64) {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, bucket, " ", fact, " ", bits) // a hash takes everything
	c.rows++
	c.sum += h.Sum64()
}
