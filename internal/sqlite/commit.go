package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// entropy is where ids get what sets them apart.
func entropy() io.Reader { return rand.Reader }

// prepared is a change with all the work done that needs no transaction.
type prepared struct {
	*record.Change
	body  *content // nil where there is none
	blobs []content
	facts []preparedFact
}

// content is bytes to be kept under their digest.
type content struct {
	digest touchstone.Digest
	short  int64
	bytes  []byte
	packed []byte
}

type preparedFact struct {
	*record.Fact
	tags, value []byte // packed
}

// Commit implements record.Store.
func (s *Store) Commit(ctx context.Context, changes ...record.Change) ([]record.Entry, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := make([]prepared, len(changes))
	size := 0
	for i := range changes {
		if err := changes[i].Validate(); err != nil {
			return nil, err
		}
		all[i] = s.prepare(&changes[i])
		size += all[i].size()
	}
	var entries []record.Entry
	err := s.do(ctx, &job{size: size, apply: func(w *writer) error {
		known, err := w.expect(all)
		if err != nil {
			return err
		}
		entries = make([]record.Entry, len(all))
		for i := range all {
			if entries[i], err = w.change(&all[i], known); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("writing to the record: %w", err)
	}
	return entries, nil
}

func (s *Store) prepare(c *record.Change) prepared {
	p := prepared{Change: c}
	if len(c.Body) > 0 {
		body := s.content(c.Body)
		p.body = &body
	}
	for _, b := range c.Blobs {
		one := s.blobContent(b)
		if (p.body == nil || p.body.digest != one.digest) && !slices.ContainsFunc(p.blobs, func(x content) bool { return x.digest == one.digest }) {
			p.blobs = append(p.blobs, one)
		}
	}
	for i := range c.Facts {
		f := &c.Facts[i]
		one := preparedFact{Fact: f}
		if f.Value != nil {
			one.tags = s.packer.pack([]byte(strings.Join(set(f.Tags), "\x00")))
			one.value = s.packer.pack(f.Value)
		}
		p.facts = append(p.facts, one)
	}
	return p
}

func (s *Store) content(b []byte) content {
	sum := sha256.Sum256(b)
	return content{digest: touchstone.NewDigest(sum[:]), short: number(sum[:]), bytes: b, packed: s.packer.pack(b)}
}

// blobContent is content of what many entries name: the rules that decided, most
// of all. It is packed once.
func (s *Store) blobContent(b []byte) content {
	sum := sha256.Sum256(b)
	packed := s.packed.get(sum)
	if packed == nil {
		packed = s.packer.pack(b)
		s.packed.put(sum, packed)
	}
	return content{digest: touchstone.NewDigest(sum[:]), short: number(sum[:]), bytes: b, packed: packed}
}

// packedLately holds what was packed, by the SHA-256 of what it is.
type packedLately struct {
	mu sync.Mutex
	of map[[sha256.Size]byte][]byte
}

func (p *packedLately) get(sum [sha256.Size]byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[sum]
}

func (p *packedLately) put(sum [sha256.Size]byte, packed []byte) {
	const most, bytes = 128, 32 << 10 // 4 MB
	if len(packed) > bytes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil || len(p.of) >= most {
		p.of = map[[sha256.Size]byte][]byte{}
	}
	p.of[sum] = packed
}

func (p *prepared) size() int {
	n := 256
	if p.body != nil {
		n += len(p.body.packed)
	}
	for i := range p.blobs {
		n += len(p.blobs[i].packed)
	}
	for i := range p.facts {
		n += len(p.facts[i].value) + len(p.facts[i].tags)
	}
	return n
}

// set returns the tags sorted, each once.
func set(tags []string) []string {
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return slices.Compact(tags)
}

// change writes one change down.
func (w *writer) change(p *prepared, known map[name]*row) (record.Entry, error) {
	e, err := w.append(p)
	if err != nil {
		return e, err
	}
	for i := range p.blobs {
		id, err := w.keep(&p.blobs[i])
		if err != nil {
			return e, err
		}
		if _, err := w.hold.ExecContext(bg(), int64(e.Seq), id); err != nil {
			return e, err
		}
	}
	for i := range p.facts {
		f := &p.facts[i]
		if err := w.put(f, e.Seq, known[name{f.Kind, f.Key}]); err != nil {
			return e, fmt.Errorf("the fact %s %q: %w", f.Kind, f.Key, err)
		}
	}
	return e, nil
}

// append adds an entry to the log.
func (w *writer) append(p *prepared) (record.Entry, error) {
	ms := max(w.now().UnixMilli(), w.end.ms)
	e := record.Entry{
		Seq: w.end.seq + 1, ID: p.ID, Time: time.UnixMilli(ms).UTC(),
		Kind: p.Kind, Actor: p.Actor, About: p.About, Prev: w.end.hash,
	}
	if e.ID == "" {
		id, err := ulid.New(uint64(max(ms, 0)), w.ids)
		if err != nil {
			return e, fmt.Errorf("making an id: %w", err)
		}
		e.ID = id.String()
	}
	var body, about any
	if p.body != nil {
		e.Body = p.body.digest
		id, err := w.keep(p.body)
		if err != nil {
			return e, err
		}
		body = id
	}
	if e.About != "" {
		about = aboutNumber(e.About)
	}
	kind, err := w.wordID(e.Kind)
	if err != nil {
		return e, err
	}
	b, err := record.Encode(&e)
	if err != nil {
		return e, err
	}
	sum := sha256.Sum256(b)
	if _, err := w.entry.ExecContext(bg(), int64(e.Seq), kind, about, body, sum[:], b); err != nil {
		return e, err
	}
	e.Hash = touchstone.NewDigest(sum[:])
	w.end.seq, w.end.hash, w.end.ms = e.Seq, e.Hash, ms
	return e, nil
}

// aboutNumber is what entries are found by that are about something. Two things
// may share it.
func aboutNumber(about string) int64 {
	sum := sha256.Sum256([]byte(about))
	return number(sum[:])
}

// keep stores bytes, or notes that one more entry holds those that are there.
func (w *writer) keep(c *content) (int64, error) {
	rows, err := w.findBlob.QueryContext(bg(), c.short)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return 0, err
		}
		if bytes.Equal(data, c.packed) {
			rows.Close()
			_, err := w.share.ExecContext(bg(), id)
			return id, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	done, err := w.newBlob.ExecContext(bg(), c.short, c.packed)
	if err != nil {
		return 0, err
	}
	return done.LastInsertId()
}
