package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// Expire removes the bodies, and the blobs that nothing else holds, of entries of
// a kind that are older than a moment, and returns of how many entries. The
// entries stay, and the chain with them. It goes in steps, between which others
// commit; an error leaves done what was done.
func (s *Store) Expire(ctx context.Context, kind string, before time.Time) (int, error) {
	id, known, err := s.kind(ctx, kind)
	if err != nil || !known {
		return 0, err
	}
	to, err := s.lastBefore(ctx, before)
	if err != nil {
		return 0, err
	}
	removed := 0
	for {
		var n int
		var more bool
		err := s.do(ctx, &job{apply: func(w *writer) (err error) {
			n, more, err = w.expire(id, to)
			return err
		}})
		removed += n
		if err != nil {
			return removed, fmt.Errorf("removing old bodies of the kind %s: %w", kind, err)
		}
		if !more {
			return removed, nil
		}
	}
}

// lastBefore returns the number of the last entry before a moment. The log's time
// never runs backwards, so it is found by halving.
func (s *Store) lastBefore(ctx context.Context, t time.Time) (int64, error) {
	var low, high int64
	if err := s.points.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM entries").Scan(&high); err != nil {
		return 0, reading(ctx, "the log", err)
	}
	for low < high {
		middle := (low + high + 1) / 2
		var hash, b []byte
		err := s.points.QueryRowContext(ctx, "SELECT hash, record FROM entries WHERE seq = ?", middle).Scan(&hash, &b)
		if err != nil {
			return 0, reading(ctx, "the log", err)
		}
		e, err := entryOf(uint64(middle), hash, b)
		if err != nil {
			return 0, err
		}
		if e.Time.Before(t) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

// expire removes what some entries hold, and says whether there are more.
func (w *writer) expire(kind, to int64) (n int, more bool, err error) {
	const together = 500
	var from int64
	err = w.conn.QueryRowContext(bg(), "SELECT seq FROM expired WHERE kind = ?", kind).Scan(&from)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, false, err
	}
	type holder struct {
		seq  int64
		body sql.NullInt64
	}
	var all []holder
	rows, err := w.conn.QueryContext(bg(), "SELECT seq, body FROM entries WHERE kind = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?", kind, from, to, together)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var h holder
		if err := rows.Scan(&h.seq, &h.body); err != nil {
			return 0, false, err
		}
		all = append(all, h)
	}
	if err := rows.Err(); err != nil {
		return 0, false, err
	}
	for _, h := range all {
		held, err := w.letGo(h.seq, h.body)
		if err != nil {
			return 0, false, err
		}
		if held {
			n++
		}
		from = h.seq
	}
	_, err = w.conn.ExecContext(bg(), "REPLACE INTO expired (kind, seq) VALUES (?, ?)", kind, from)
	return n, len(all) == together, err
}

// letGo takes from an entry what it holds, and reports whether that was anything.
func (w *writer) letGo(seq int64, body sql.NullInt64) (bool, error) {
	var ids []int64
	if body.Valid {
		ids = append(ids, body.Int64)
	}
	rows, err := w.conn.QueryContext(bg(), "SELECT blob FROM held WHERE entry = ?", seq)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return false, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	for _, id := range ids {
		if err := w.release(id); err != nil {
			return false, err
		}
	}
	for _, query := range []string{"UPDATE entries SET body = NULL WHERE seq = ?", "DELETE FROM held WHERE entry = ?"} {
		if _, err := w.conn.ExecContext(bg(), query, seq); err != nil {
			return false, err
		}
	}
	return len(ids) > 0, nil
}

// release notes that one entry fewer holds a blob, and removes it with the last.
func (w *writer) release(blob int64) error {
	var holders int
	err := w.conn.QueryRowContext(bg(), "SELECT holders FROM shared WHERE blob = ?", blob).Scan(&holders)
	query := "UPDATE shared SET holders = holders - 1 WHERE blob = ?"
	switch {
	case errors.Is(err, sql.ErrNoRows):
		query = "DELETE FROM blobs WHERE id = ?"
	case err != nil:
		return err
	case holders == 2:
		query = "DELETE FROM shared WHERE blob = ?"
	case holders < 2:
		return fmt.Errorf("%w: blob %d is shared by %d", record.ErrCorrupt, blob, holders)
	}
	_, err = w.conn.ExecContext(bg(), query, blob)
	return err
}
