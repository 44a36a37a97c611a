package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/record"
)

// Entries implements record.Store.
func (s *Store) Entries(ctx context.Context, q record.EntryQuery) iter.Seq2[record.Entry, error] {
	return func(yield func(record.Entry, error) bool) {
		query, args, err := s.selectEntries(ctx, q)
		if err != nil || query == "" {
			if err != nil {
				yield(record.Entry{}, err)
			}
			return
		}
		rows, err := s.streams.QueryContext(ctx, query, args...)
		if err != nil {
			yield(record.Entry{}, reading(ctx, "the log", err))
			return
		}
		defer rows.Close()
		given := 0
		for rows.Next() && (q.Limit == 0 || given < q.Limit) {
			var seq uint64
			var hash, b sql.RawBytes
			if err := rows.Scan(&seq, &hash, &b); err != nil {
				yield(record.Entry{}, reading(ctx, "the log", err))
				return
			}
			e, err := entryOf(seq, hash, b)
			if err == nil && !matches(&e, q) {
				continue // another thing shares the number of what was asked about
			}
			given++
			if !yield(e, err) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(record.Entry{}, reading(ctx, "the log", err))
		}
	}
}

func matches(e *record.Entry, q record.EntryQuery) bool {
	return (q.About == "" || e.About == q.About) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind))
}

// entryOf reads a row of the log. One that contradicts itself is ErrCorrupt, with
// its number.
func entryOf(seq uint64, hash, b []byte) (record.Entry, error) {
	sum := sha256.Sum256(b)
	if bytes.Equal(sum[:], hash) {
		if e, err := record.Decode(b); err == nil && e.Seq == seq {
			return e, nil
		}
	}
	return record.Entry{Seq: seq}, fmt.Errorf("entry %d was changed: %w", seq, record.ErrCorrupt)
}

// selectEntries returns the query, or "" where nothing can match. Each kind is
// read in the order of the log from its own index, and SQLite merges them.
func (s *Store) selectEntries(ctx context.Context, q record.EntryQuery) (string, []any, error) {
	from, order := "seq > ?", "seq"
	after := q.After
	if q.Descending {
		from, order = "seq < ?", "seq DESC"
		if after == 0 {
			after = 1 << 62
		}
	}
	one := "SELECT seq, hash, record FROM entries WHERE " + from
	switch {
	case after >= 1<<62 && !q.Descending:
		return "", nil, nil
	case q.About != "":
		return one + " AND about = ? ORDER BY " + order, []any{int64(min(after, 1<<62)), aboutNumber(q.About)}, nil
	case len(q.Kinds) == 0:
		return one + " ORDER BY " + order, []any{int64(min(after, 1<<62))}, nil
	}
	var parts []string
	var args []any
	for _, k := range set(q.Kinds) {
		id, known, err := s.kind(ctx, k)
		if err != nil {
			return "", nil, err
		}
		if known {
			parts = append(parts, one+" AND kind = ?")
			args = append(args, int64(min(after, 1<<62)), id)
		}
	}
	if len(parts) == 0 {
		return "", nil, nil
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY " + order, args, nil
}

// reading says what was being read when an error came; the context's own error
// is told where it has ended.
func reading(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("reading %s: %w", what, fault(err))
}
