package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"strings"
)

// tag is a tag of facts of one kind.
type tag struct {
	kind int64
	text string
}

// perBucket is how many tags one row of the table tagged holds.
const perBucket = 64

// bitsOf returns the tags with the numbers as rows of the table tagged: bucket →
// bits.
func bitsOf(ids []int64) map[int64]int64 {
	m := make(map[int64]int64, len(ids))
	for _, id := range ids {
		m[id/perBucket] |= 1 << (id % perBucket)
	}
	return m
}

// retag makes a fact be found by its new tags and no longer by those before.
func (w *writer) retag(kind, fact int64, before, now []byte) error {
	if bytes.Equal(before, now) {
		return nil
	}
	old, err := w.bits(kind, before)
	if err != nil {
		return err
	}
	bits, err := w.bits(kind, now)
	if err != nil {
		return err
	}
	for bucket, b := range bits {
		if old[bucket] == b {
			continue
		}
		if _, err := w.putBits.ExecContext(bg(), bucket, fact, b); err != nil {
			return err
		}
	}
	for bucket := range old {
		if bits[bucket] != 0 {
			continue
		}
		if _, err := w.dropBits.ExecContext(bg(), bucket, fact); err != nil {
			return err
		}
	}
	return nil
}

// bits returns packed tags as rows of the table tagged.
func (w *writer) bits(kind int64, packed []byte) (map[int64]int64, error) {
	if packed == nil {
		return nil, nil
	}
	tags, err := w.pack.tags(packed)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(tags))
	for i, t := range tags {
		if ids[i], err = w.tagID(tag{kind, t}); err != nil {
			return nil, err
		}
	}
	return bitsOf(ids), nil
}

// tags unpacks the tags of a fact.
func (p *packer) tags(packed []byte) ([]string, error) {
	b, err := p.unpack(packed)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return strings.Split(string(b), "\x00"), nil
}

// tagID returns the number of a tag, a new one where it has none.
func (w *writer) tagID(t tag) (int64, error) {
	const most = 200_000 // remembered; some 20 MB
	if id, ok := w.tags[t]; ok {
		return id, nil
	}
	if len(w.tags) >= most {
		clear(w.tags)
	}
	var id int64
	err := w.statements.tag.QueryRowContext(bg(), t.kind, t.text).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		id = w.end.tags + 1
		if _, err = w.newTag.ExecContext(bg(), t.kind, t.text, id); err == nil {
			w.end.tags = id
		}
	}
	if err != nil {
		return 0, err
	}
	w.tags[t] = id
	return id, nil
}

// wordID returns the number of a kind, a new one where it has none.
func (w *writer) wordID(word string) (int64, error) {
	if id, ok := w.words[word]; ok {
		return id, nil
	}
	var id int64
	err := w.word.QueryRowContext(bg(), word).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var done sql.Result
		if done, err = w.newWord.ExecContext(bg(), word); err == nil {
			id, err = done.LastInsertId()
		}
	}
	if err != nil {
		return 0, err
	}
	w.words[word], w.fresh[word] = id, id
	return id, nil
}
