package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// job is something to do in the writer's transaction.
type job struct {
	// apply does it. record.ErrConflict means that it has written nothing; any
	// other error rolls the transaction back, and apply may be called again.
	apply func(*writer) error
	size  int // bytes, about
	taken atomic.Bool
	err   error
	done  chan struct{}
}

// end is where the log ends.
type end struct {
	seq  uint64
	hash touchstone.Digest
	ms   int64 // time of the last entry
	tags int64 // the greatest number of a tag
}

// writer owns the connection that writes. Only its goroutine uses it.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	now   func() time.Time
	ids   ulid.MonotonicReader
	pack  *packer
	end   end
	was   end // when the transaction began
	words map[string]int64
	fresh map[string]int64 // words that the transaction has added
	tags  map[tag]int64    // some of those that are known
	statements
	all []*sql.Stmt
}

type statements struct {
	begin, commit, rollback                    *sql.Stmt
	entry, word, newWord, tag, newTag, counter *sql.Stmt
	findBlob, newBlob, share, hold             *sql.Stmt
	findFact, newFact, putFact, dropFact       *sql.Stmt
	putBits, dropBits                          *sql.Stmt
}

// bg: what has been taken by the writer is done, whoever still waits for it.
func bg() context.Context { return context.Background() }

func openWriter(ctx context.Context, path string, now func() time.Time, p *packer) (*writer, error) {
	w := &writer{now: now, pack: p, ids: ulid.Monotonic(entropy(), 0), words: map[string]int64{}, fresh: map[string]int64{}, tags: map[tag]int64{}}
	var err error
	// 4,000 pages are 16 MB of PATH-wal before they are copied into the file.
	w.db, err = connect(path, "rw", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)",
		"journal_size_limit(67108864)", "cache_size(-24576)", "temp_store(MEMORY)")
	if err != nil {
		return nil, err
	}
	w.db.SetMaxOpenConns(1)
	if err := w.open(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the record: %w", fault(err)), w.close())
	}
	return w, nil
}

func (w *writer) open(ctx context.Context, path string) error {
	var err error
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, w.conn, path, newest()); err != nil {
		return err
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	return w.load(ctx)
}

func (w *writer) prepare(ctx context.Context) error {
	for query, into := range map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &w.begin,
		"COMMIT":          &w.commit,
		"ROLLBACK":        &w.rollback,
		"INSERT INTO entries (seq, kind, about, body, hash, record) VALUES (?, ?, ?, ?, ?, ?)": &w.entry,
		"SELECT id FROM words WHERE word = ?":                                                  &w.word,
		"INSERT INTO words (word) VALUES (?)":                                                  &w.newWord,
		"SELECT id FROM tags WHERE kind = ? AND tag = ?":                                       &w.tag,
		"INSERT INTO tags (kind, tag, id) VALUES (?, ?, ?)":                                    &w.newTag,
		"UPDATE counters SET value = ? WHERE name = 'tags'":                                    &w.counter,
		"SELECT id, data FROM blobs WHERE short = ?":                                           &w.findBlob,
		"INSERT INTO blobs (short, data) VALUES (?, ?)":                                        &w.newBlob,
		"INSERT INTO shared VALUES (?, 2) ON CONFLICT DO UPDATE SET holders = holders + 1":     &w.share,
		"INSERT INTO held (entry, blob) VALUES (?, ?)":                                         &w.hold,
		"SELECT id, seq, tags FROM facts WHERE kind = ? AND key = ?":                           &w.findFact,
		"INSERT INTO facts (kind, key, seq, sum, tags, value) VALUES (?, ?, ?, ?, ?, ?)":       &w.newFact,
		"UPDATE facts SET seq = ?, sum = ?, tags = ?, value = ? WHERE id = ?":                  &w.putFact,
		"DELETE FROM facts WHERE id = ?":                                                       &w.dropFact,
		"REPLACE INTO tagged (bucket, fact, bits) VALUES (?, ?, ?)":                            &w.putBits,
		"DELETE FROM tagged WHERE bucket = ? AND fact = ?":                                     &w.dropBits,
	} {
		s, err := w.conn.PrepareContext(ctx, query)
		if err != nil {
			return err
		}
		*into, w.all = s, append(w.all, s)
	}
	return nil
}

// load reads where the log ends.
func (w *writer) load(ctx context.Context) error {
	var hash, bytes []byte
	var seq uint64
	err := w.conn.QueryRowContext(ctx, "SELECT seq, hash, record FROM entries ORDER BY seq DESC LIMIT 1").Scan(&seq, &hash, &bytes)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err == nil {
		last, err := entryOf(seq, hash, bytes)
		if err != nil {
			return err
		}
		w.end = end{seq: seq, hash: last.Hash, ms: last.Time.UnixMilli()}
	}
	return w.conn.QueryRowContext(ctx, "SELECT value FROM counters WHERE name = 'tags'").Scan(&w.end.tags)
}

// close closes the statements first: with one that is open, SQLite would keep the
// file open.
func (w *writer) close() error {
	var errs []error
	for _, s := range w.all {
		errs = append(errs, s.Close())
	}
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}

// do hands a job to the writer and waits for it. A context that ends before the
// writer has begun takes the job back.
func (s *Store) do(ctx context.Context, j *job) error {
	if s.writer == nil {
		return fmt.Errorf("%w: it was opened for reading", record.ErrFull)
	}
	j.done = make(chan struct{})
	select {
	case s.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return errClosed
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-j.done
	}
	return j.err
}

// write is the writer's goroutine.
func (s *Store) write() {
	for {
		select {
		case j := <-s.queue:
			s.together(s.gather(j))
		case <-s.stop:
			return
		}
	}
}

// gather collects what waits, up to what one transaction should hold.
func (s *Store) gather(first *job) []*job {
	const most, bytes = 512, 8 << 20
	var batch []*job
	size := 0
	for j := first; ; {
		if j.taken.CompareAndSwap(false, true) {
			batch = append(batch, j)
			size += j.size
		}
		if len(batch) == most || size > bytes {
			return batch
		}
		select {
		case j = <-s.queue:
		default:
			return batch
		}
	}
}

// together does the jobs in one transaction. Where one of several cannot be
// written for what it is, each gets a transaction of its own; where the disk is
// full, that would help nobody.
func (s *Store) together(batch []*job) {
	err := s.writer.transact(batch)
	if err != nil && len(batch) > 1 && !errors.Is(err, record.ErrFull) && !errors.Is(err, record.ErrCorrupt) {
		for _, j := range batch {
			s.together([]*job{j})
		}
		return
	}
	for word, id := range s.writer.fresh {
		s.words.ids.Store(word, id)
	}
	clear(s.writer.fresh)
	if s.signs != nil {
		s.signs.grown(s.writer.end.seq, s.writer.end.hash)
	}
	for _, j := range batch {
		if err != nil {
			j.err = err
		}
		close(j.done)
	}
}

// transact applies jobs and makes them durable. After an error nothing of them
// is written.
func (w *writer) transact(batch []*job) error {
	if _, err := w.begin.ExecContext(bg()); err != nil {
		return fault(err)
	}
	w.was = w.end
	err := w.apply(batch)
	if err == nil {
		_, err = w.commit.ExecContext(bg())
	}
	if err == nil {
		return nil
	}
	_, _ = w.rollback.ExecContext(bg()) // SQLite may have done it by itself
	w.end = w.was
	for word := range w.fresh {
		delete(w.words, word)
	}
	clear(w.fresh)
	clear(w.tags)
	return fault(err)
}

func (w *writer) apply(batch []*job) error {
	for _, j := range batch {
		j.err = j.apply(w)
		if j.err != nil && !errors.Is(j.err, record.ErrConflict) {
			return j.err
		}
	}
	if w.end.tags == w.was.tags {
		return nil
	}
	_, err := w.counter.ExecContext(bg(), w.end.tags)
	return err
}
