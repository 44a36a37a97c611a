// Package sqlite keeps a record in one SQLite file, with nothing to set up. It
// implements record.Store, and what a server needs beside it: checkpoints,
// retention, backup and restore.
//
//	callers ─ Commit ─► queue ─► one writer ─► one transaction for all that wait ─► fsync ─► callers
//	callers ─ Fact, Facts, Entries, Blob ─► connections of their own, each a snapshot
//
// The file is in WAL mode with synchronous=FULL: what Commit has returned is on
// disk. Callers who commit at the same time share a transaction and its fsync; a
// conflict is found before anything of that caller is written, so it fails nobody
// else.
//
// One process writes: it holds a lock on PATH.lock (flock, so that it is gone with
// the process), and a second one is refused. Others may read at the same time.
//
// Every page of the file carries a sum, and so does every row of the log, every
// fact and every blob; they are looked at whenever they are read. Damage is an
// error and never another answer.
//
// The package gives no meaning to what it keeps.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// Config says where a store lies and how it is kept.
type Config struct {
	// Path of the database file. Beside it lie PATH-wal and PATH-shm, which are
	// part of it while it is open or after a crash, PATH.lock and
	// PATH.checkpoints. All are readable by their owner alone.
	Path string
	// ReadOnly opens a database that is there, also one that another process
	// writes. Commit then returns record.ErrFull.
	ReadOnly bool
	// Key signs checkpoints (record.NewKey); empty for none.
	Key string
	// Every and Interval say when a checkpoint is due: after so many entries, and
	// so long after an entry that has none; 10,000 and a minute when zero. One is
	// signed at Close, too.
	Every    uint64
	Interval time.Duration
	// Now is the clock; time.Now when nil. The log's time stands still while the
	// clock goes backwards.
	Now func() time.Time
}

// Store is an open database. It may be used from many goroutines.
type Store struct {
	c       Config
	packer  *packer
	packed  packedLately
	words   words
	points  *sql.DB // for reads of one row, which never wait for each other
	streams *sql.DB // for lists, during which the caller may read something else
	fact    *sql.Stmt
	blob    *sql.Stmt

	writer *writer // nil when ReadOnly
	queue  chan *job
	stop   chan struct{} // closed by Close
	once   sync.Once
	done   sync.WaitGroup
	signs  *signer // nil without a key
	lock   *os.File
}

var _ record.Store = (*Store)(nil)

// Open opens the database, makes it where it does not exist, and brings it to the
// newest version. Errors: record.ErrFull where it cannot be written,
// record.ErrCorrupt where it is no whole database; one of a newer program and one
// that another process writes are refused.
func Open(ctx context.Context, c Config) (*Store, error) {
	c.Every = orElse(c.Every, 10_000)
	c.Interval = orElse(c.Interval, time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", c.Path, err)
	}
	c.Path = path
	s := &Store{c: c, queue: make(chan *job), stop: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.packer, err = newPacker(); err != nil {
		return err
	}
	if s.c.ReadOnly {
		if _, err := os.Stat(s.c.Path); err != nil {
			return fmt.Errorf("opening the record: %w", err)
		}
	} else {
		if err := s.create(); err != nil {
			return err
		}
		if s.writer, err = openWriter(ctx, s.c.Path, s.c.Now, s.packer); err != nil {
			return err
		}
	}
	if err := s.openReaders(ctx); err != nil {
		return err
	}
	if s.writer == nil {
		return nil
	}
	if s.c.Key != "" {
		if s.signs, err = s.newSigner(ctx); err != nil {
			return err
		}
		s.done.Go(s.signs.run)
	}
	s.done.Go(s.write)
	return nil
}

// create takes the lock and makes the file, so that no part of it is ever
// readable by others.
func (s *Store) create() error {
	lock, err := takeLock(s.c.Path)
	if err != nil {
		return err
	}
	s.lock = lock
	if err := begin(s.c.Path); err != nil {
		return fmt.Errorf("opening the record: %w", fault(err))
	}
	return nil
}

// openReaders opens the connections for reading. A connection keeps the pages
// that it has read last, so lists, of which many may run at once, get few.
func (s *Store) openReaders(ctx context.Context) error {
	mode := "rw"
	if s.c.ReadOnly {
		mode = "ro"
		if !there(s.c.Path+"-wal") && !writable(filepath.Dir(s.c.Path)) {
			mode = "ro&immutable=1" // without a folder to put PATH-shm into there is no other way
		}
	}
	var err error
	if s.points, err = connect(s.c.Path, mode, "query_only(1)", "cache_size(-8192)"); err != nil {
		return err
	}
	s.points.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	s.points.SetMaxIdleConns(max(2, runtime.GOMAXPROCS(0)))
	if s.streams, err = connect(s.c.Path, mode, "query_only(1)", "cache_size(-1024)"); err != nil {
		return err
	}
	s.streams.SetMaxIdleConns(4)
	if s.c.ReadOnly {
		if err := s.current(ctx); err != nil {
			return err
		}
	}
	if err := s.readWords(ctx); err != nil {
		return fmt.Errorf("opening %s: %w", s.c.Path, err)
	}
	if s.fact, err = s.points.PrepareContext(ctx, "SELECT seq, sum, tags, value FROM facts WHERE kind = ? AND key = ?"); err != nil {
		return fmt.Errorf("opening %s: %w", s.c.Path, fault(err))
	}
	if s.blob, err = s.points.PrepareContext(ctx, "SELECT data FROM blobs WHERE short = ?"); err != nil {
		return fmt.Errorf("opening %s: %w", s.c.Path, fault(err))
	}
	return nil
}

// current refuses a database that is opened for reading and of another version.
func (s *Store) current(ctx context.Context) error {
	c, err := s.points.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening %s: %w", s.c.Path, fault(err))
	}
	defer c.Close()
	version, err := versionOf(ctx, c, s.c.Path)
	if err == nil && version != newest() {
		err = fmt.Errorf("opening %s: it is of version %d, and this program reads version %d\nhint: touchstone serve brings it up", s.c.Path, version, newest())
	}
	return err
}

// connect returns connections to a file that is there. Waiting for a lock is for
// what is not ours: a reader in another process, sqlite3 in a terminal.
func connect(path, mode string, pragmas ...string) (*sql.DB, error) {
	if err := withSums(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: path}
	dsn := u.String() + "?vfs=" + sumsVFS + "&mode=" + mode + "&_pragma=busy_timeout(10000)"
	for _, p := range pragmas {
		dsn += "&_pragma=" + url.QueryEscape(p)
	}
	return sql.Open("sqlite", dsn)
}

// Close writes what has been accepted, signs a last checkpoint and closes the
// file. It may be called more than once.
func (s *Store) Close() error {
	var errs []error
	s.once.Do(func() {
		if s.signs != nil {
			errs = append(errs, s.signs.last())
		}
		close(s.stop)
		s.done.Wait()
		for _, stmt := range []*sql.Stmt{s.fact, s.blob} {
			if stmt != nil {
				errs = append(errs, stmt.Close())
			}
		}
		for _, db := range []*sql.DB{s.points, s.streams} {
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		if s.packer != nil {
			s.packer.close()
		}
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
	})
	return errors.Join(errs...)
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
