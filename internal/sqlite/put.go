package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"

	"touchstone.dev/touchstone/internal/record"
)

// name names a fact.
type name struct{ kind, key string }

// row is a fact as it stands in the database.
type row struct {
	id   int64 // zero where it does not stand there
	seq  uint64
	tags []byte // packed
}

// expect looks up the facts that changes write, and whether they are as the
// changes expect them. It writes nothing but numbers of new kinds. What it returns
// is kept up to date by the writing.
func (w *writer) expect(all []prepared) (map[name]*row, error) {
	known := map[name]*row{}
	planned := map[name]uint64{} // as the changes before leave it; 0 for absent
	seq := w.end.seq
	for i := range all {
		seq++
		for _, f := range all[i].facts {
			n := name{f.Kind, f.Key}
			if known[n] == nil {
				r, err := w.find(n)
				if err != nil {
					return nil, err
				}
				known[n], planned[n] = r, r.seq
			}
			if now := planned[n]; f.If.Absent && now != 0 || f.If.Seq != 0 && now != f.If.Seq {
				return nil, fmt.Errorf("the fact %s %q: %w", f.Kind, f.Key, record.ErrConflict)
			}
			planned[n] = seq
			if f.Value == nil {
				planned[n] = 0
			}
		}
	}
	return known, nil
}

func (w *writer) find(n name) (*row, error) {
	kind, err := w.wordID(n.kind)
	if err != nil {
		return nil, err
	}
	var r row
	err = w.findFact.QueryRowContext(bg(), kind, n.key).Scan(&r.id, &r.seq, &r.tags)
	if errors.Is(err, sql.ErrNoRows) {
		return &row{}, nil
	}
	return &r, err
}

// put writes, replaces or removes a fact, with its tags.
func (w *writer) put(f *preparedFact, seq uint64, r *row) error {
	kind, err := w.wordID(f.Kind)
	if err != nil {
		return err
	}
	before := r.tags
	switch {
	case f.Value == nil && r.id == 0:
		return nil
	case f.Value == nil:
		_, err = w.dropFact.ExecContext(bg(), r.id)
	case r.id == 0:
		var done sql.Result
		if done, err = w.newFact.ExecContext(bg(), kind, f.Key, int64(seq), factSum(f.Kind, f.Key, seq, f.tags, f.value), f.tags, f.value); err == nil {
			r.id, err = done.LastInsertId()
		}
	default:
		_, err = w.putFact.ExecContext(bg(), int64(seq), factSum(f.Kind, f.Key, seq, f.tags, f.value), f.tags, f.value, r.id)
	}
	if err != nil {
		return err
	}
	if err := w.retag(kind, r.id, before, f.tags); err != nil {
		return err
	}
	r.seq, r.tags = seq, f.tags
	if f.Value == nil {
		*r = row{}
	}
	return nil
}

// factSum is over all that a fact says, as it is kept.
func factSum(kind, key string, seq uint64, tags, value []byte) int64 {
	h := sha256.New()
	var n [8]byte
	for _, part := range [][]byte{[]byte(kind), []byte(key), tags, value} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	binary.BigEndian.PutUint64(n[:], seq)
	h.Write(n[:])
	return number(h.Sum(nil))
}
