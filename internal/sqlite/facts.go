package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"touchstone.dev/touchstone/internal/record"
)

// Fact implements record.Store. A read of one row takes microseconds, and
// watching the context meanwhile would take longer.
func (s *Store) Fact(ctx context.Context, kind, key string) (record.Fact, error) {
	if err := ctx.Err(); err != nil {
		return record.Fact{}, err
	}
	ctx = context.WithoutCancel(ctx)
	id, known, err := s.kind(ctx, kind)
	if err != nil {
		return record.Fact{}, err
	}
	f := record.Fact{Kind: kind, Key: key}
	if known {
		var sum int64
		var tags, value []byte
		err = s.fact.QueryRowContext(ctx, id, key).Scan(&f.Seq, &sum, &tags, &value)
		if err == nil {
			err = s.unpackFact(&f, sum, tags, value)
		}
	}
	switch {
	case !known || errors.Is(err, sql.ErrNoRows):
		return record.Fact{}, fmt.Errorf("the fact %s %q: %w", kind, key, record.ErrNotFound)
	case err != nil:
		return record.Fact{}, reading(ctx, fmt.Sprintf("the fact %s %q", kind, key), err)
	}
	return f, nil
}

// unpackFact reads the value and the tags of a row. Nothing in f is part of them
// afterwards.
func (s *Store) unpackFact(f *record.Fact, sum int64, tags, value []byte) error {
	if factSum(f.Kind, f.Key, f.Seq, tags, value) != sum {
		return fmt.Errorf("it was changed: %w", record.ErrCorrupt)
	}
	var err error
	if f.Tags, err = s.packer.tags(tags); err != nil {
		return err
	}
	f.Value, err = s.packer.unpack(value)
	return err
}

// Facts implements record.Store.
func (s *Store) Facts(ctx context.Context, q record.FactQuery) iter.Seq2[record.Fact, error] {
	return func(yield func(record.Fact, error) bool) {
		stop := errors.New("the caller has enough")
		err := s.facts(ctx, q, func(f record.Fact) error {
			if !yield(f, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(record.Fact{}, reading(ctx, "facts of the kind "+q.Kind, err))
		}
	}
}

func (s *Store) facts(ctx context.Context, q record.FactQuery, give func(record.Fact) error) error {
	kind, known, err := s.kind(ctx, q.Kind)
	if err != nil || !known {
		return err
	}
	if len(q.Tags) > 0 {
		if done, err := s.few(ctx, q, kind, give); err != nil || done {
			return err
		}
	}
	tx, err := s.streams.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	l := listing{Store: s, tx: tx, q: q, kind: kind, give: give}
	if len(q.Tags) == 0 {
		return l.all(ctx)
	}
	return l.tagged(ctx)
}

// listing is one run of Facts, in a transaction that sees one moment.
type listing struct {
	*Store
	tx    *sql.Tx
	q     record.FactQuery
	kind  int64
	give  func(record.Fact) error
	given int
}

func (l *listing) full() bool { return l.q.Limit > 0 && l.given >= l.q.Limit }

// between returns the condition on keys, the order and the arguments for it.
func (l *listing) between() (where, order string, args []any) {
	where, order, args = "f.kind = ?", " ORDER BY f.key", []any{l.kind}
	if l.q.Prefix != "" {
		where, args = where+" AND f.key >= ?", append(args, l.q.Prefix)
		if end, ok := beyond(l.q.Prefix); ok {
			where, args = where+" AND f.key < CAST(? AS TEXT)", append(args, end)
		}
	}
	if l.q.Descending {
		order += " DESC"
	}
	if l.q.After != "" && l.q.Descending {
		where, args = where+" AND f.key < ?", append(args, l.q.After)
	} else if l.q.After != "" {
		where, args = where+" AND f.key > ?", append(args, l.q.After)
	}
	return where, order, args
}

// beyond returns the least bytes that are greater than all that begin with the
// prefix; keys are compared byte by byte.
func beyond(prefix string) ([]byte, bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return b[:i+1], true
		}
	}
	return nil, false
}

const factColumns = "f.key, f.seq, f.sum, f.tags, f.value"

// all lists facts whatever their tags.
func (l *listing) all(ctx context.Context) error {
	where, order, args := l.between()
	rows, err := l.tx.QueryContext(ctx, "SELECT "+factColumns+" FROM facts f WHERE "+where+order, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for !l.full() && rows.Next() {
		if err := l.row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// row gives the caller the fact that is next in rows.
func (l *listing) row(rows interface{ Scan(...any) error }) error {
	f := record.Fact{Kind: l.q.Kind}
	var sum int64
	var tags, value []byte
	if err := rows.Scan(&f.Key, &f.Seq, &sum, &tags, &value); err != nil {
		return err
	}
	if err := l.unpackFact(&f, sum, tags, value); err != nil {
		return fmt.Errorf("%q: %w", f.Key, err)
	}
	l.given++
	return l.give(f)
}

// tagged lists facts that have all of the tags.
func (l *listing) tagged(ctx context.Context) error {
	wanted, err := l.wanted(ctx)
	if err != nil || wanted == nil {
		return err
	}
	// A rare tag says which facts to fetch. With a common one, of which the
	// caller wants few, going through the keys in their order finds them sooner.
	const rare, patience = 2000, 20_000
	if wanted[0].common && l.q.Limit > 0 {
		last, done, err := l.walk(ctx, wanted, patience)
		if err != nil || done {
			return err
		}
		l.q.After = last
	}
	return l.fetch(ctx, wanted)
}

// bucket is what a fact must have in one row of the table tagged.
type bucket struct {
	number, bits int64
	common       bool // many facts have it
	few          bool // hardly any has it
}

// wanted returns the buckets of the tags, a rare one first; nil where a tag was
// never used.
func (l *listing) wanted(ctx context.Context) ([]bucket, error) {
	var ids []int64
	for _, t := range set(l.q.Tags) {
		var id int64
		err := l.tx.QueryRowContext(ctx, "SELECT id FROM tags WHERE kind = ? AND tag = ?", l.kind, t).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	const rare, few = 2000, 32
	var all []bucket
	for number, bits := range bitsOf(ids) {
		b := bucket{number: number, bits: bits}
		var n int
		err := l.tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM tagged WHERE bucket = ? AND bits & ? = ? LIMIT ?)",
			number, bits, bits, rare).Scan(&n)
		if err != nil {
			return nil, err
		}
		b.common, b.few = n == rare, n <= few
		all = append(all, b)
		if first := &all[0]; b.few && !first.few || !b.common && first.common {
			all[0], all[len(all)-1] = b, all[0]
		}
	}
	return all, nil
}

// walk goes through the keys in their order and gives those that have the tags,
// until it is done or has looked at as many as patience allows; then it returns
// the last key.
func (l *listing) walk(ctx context.Context, wanted []bucket, patience int) (last string, done bool, err error) {
	where, order, args := l.between()
	rows, err := l.tx.QueryContext(ctx, "SELECT f.id, f.key FROM facts f WHERE "+where+order, args...)
	if err != nil {
		return "", false, err
	}
	defer rows.Close()
	has, err := l.tx.PrepareContext(ctx, "SELECT bits FROM tagged WHERE bucket = ? AND fact = ?")
	if err != nil {
		return "", false, err
	}
	defer has.Close()
	for ; patience > 0 && !l.full() && rows.Next(); patience-- {
		var id int64
		if err := rows.Scan(&id, &last); err != nil {
			return "", false, err
		}
		fits := true
		for _, b := range wanted {
			var bits int64
			err := has.QueryRowContext(ctx, b.number, id).Scan(&bits)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return "", false, err
			}
			if fits = bits&b.bits == b.bits; !fits {
				break
			}
		}
		if !fits {
			continue
		}
		if err := l.one(ctx, id); err != nil {
			return "", false, err
		}
	}
	return last, l.full() || patience > 0, rows.Err()
}

// fetch gathers the facts with the tags, sorts their keys and reads them one by
// one, so that no more than keys is ever sorted.
func (l *listing) fetch(ctx context.Context, wanted []bucket) error {
	where, order, args := l.between()
	query := strings.Builder{}
	query.WriteString("SELECT f.id FROM ")
	var find []any
	for i, b := range wanted {
		fmt.Fprintf(&query, "tagged t%d CROSS JOIN ", i)
		where += fmt.Sprintf(" AND t%d.bucket = ? AND t%d.fact = f.id AND t%d.bits & ? = ?", i, i, i)
		if i > 0 {
			where += fmt.Sprintf(" AND t%d.fact = t0.fact", i)
		}
		find = append(find, b.number, b.bits, b.bits)
	}
	query.WriteString("facts f WHERE " + where + order)
	rows, err := l.tx.QueryContext(ctx, query.String(), append(args, find...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for !l.full() && rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if err := l.one(ctx, id); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one gives the caller the fact with the number.
func (l *listing) one(ctx context.Context, id int64) error {
	return l.row(l.tx.QueryRowContext(ctx, "SELECT "+factColumns+" FROM facts f WHERE f.id = ?", id))
}
