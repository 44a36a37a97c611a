package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// signer signs checkpoints in a goroutine of its own, so that no commit waits for
// it. What it signs is durable before it is signed.
type signer struct {
	*Store
	mu     sync.Mutex
	seq    uint64 // where the log ends
	hash   touchstone.Digest
	signed uint64 // up to where it is signed
	due    chan struct{}
	begun  chan struct{} // there is something to sign again
	err    error         // of the last attempt
}

func (s *Store) newSigner(ctx context.Context) (*signer, error) {
	if _, err := record.PublicKey(s.c.Key); err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	g := &signer{Store: s, due: make(chan struct{}, 1), begun: make(chan struct{}, 1), seq: s.writer.end.seq, hash: s.writer.end.hash}
	err := s.points.QueryRowContext(ctx, "SELECT coalesce(max(size), 0) FROM checkpoints").Scan(&g.signed)
	if err != nil {
		return nil, fmt.Errorf("opening the record: %w", fault(err))
	}
	return g, nil
}

// grown tells the signer where the log ends now.
func (g *signer) grown(seq uint64, hash touchstone.Digest) {
	g.mu.Lock()
	g.seq, g.hash = seq, hash
	behind := seq - g.signed
	g.mu.Unlock()
	if behind >= g.c.Every {
		wake(g.due)
	} else if behind > 0 {
		wake(g.begun)
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run signs whenever that is due.
func (g *signer) run() {
	tick := time.NewTicker(g.c.Interval)
	defer tick.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-g.due:
		case <-tick.C:
			select {
			case <-g.begun:
			default:
				continue
			}
		}
		if err := g.sign(bg()); errors.Is(err, errClosed) {
			return
		}
	}
}

// last signs where the log ends at Close.
func (g *signer) last() error {
	err := g.sign(bg())
	if errors.Is(err, record.ErrFull) {
		return nil // there is nothing to be done about it, and nothing is lost by it
	}
	return err
}

// sign signs the end of the log, and puts it into the database and the file. The
// writer tells where the log ends meanwhile, so it must not find the lock taken.
func (g *signer) sign(ctx context.Context) error {
	g.mu.Lock()
	seq, hash, signed := g.seq, g.hash, g.signed
	g.mu.Unlock()
	if seq == signed {
		return nil
	}
	err := g.write(ctx, seq, hash)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
	if err == nil {
		g.signed = max(g.signed, seq)
	}
	return err
}

func (g *signer) write(ctx context.Context, seq uint64, hash touchstone.Digest) error {
	signed, err := record.Sign(g.c.Key, seq, hash)
	if err != nil {
		return err
	}
	err = g.do(ctx, &job{apply: func(w *writer) error {
		_, err := w.conn.ExecContext(bg(), "INSERT OR IGNORE INTO checkpoints (size, note) VALUES (?, ?)", int64(seq), signed)
		return err
	}})
	if err != nil {
		return fmt.Errorf("keeping a checkpoint: %w", err)
	}
	return appendNote(g.c.Path+".checkpoints", signed)
}

// appendNote adds a note to a file of them. An empty line parts it from what is
// there, also from what a killed writer has left unfinished.
func appendNote(path, note string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, fault(err))
	}
	_, err = f.WriteString("\n\n" + note)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, fault(err))
	}
	return nil
}

// Checkpoints returns the signed notes that are kept, those in the database and
// those in the file beside it, each once. They are verified by record.Verify.
func (s *Store) Checkpoints(ctx context.Context) ([]string, error) {
	rows, err := s.streams.QueryContext(ctx, "SELECT note FROM checkpoints ORDER BY size")
	if err != nil {
		return nil, reading(ctx, "the checkpoints", err)
	}
	defer rows.Close()
	var notes []string
	known := map[string]bool{}
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, reading(ctx, "the checkpoints", err)
		}
		notes, known[n] = append(notes, n), true
	}
	if err := rows.Err(); err != nil {
		return nil, reading(ctx, "the checkpoints", err)
	}
	beside, err := os.ReadFile(s.c.Path + ".checkpoints")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the checkpoints: %w", err)
	}
	for _, n := range record.SplitNotes(strings.TrimLeft(string(beside), "\n")) {
		if !known[n] {
			notes, known[n] = append(notes, n), true
		}
	}
	return notes, nil
}

// Checkpoint signs where the log ends now, and returns the latest signed note;
// "" without a key or for an empty log.
func (s *Store) Checkpoint(ctx context.Context) (string, error) {
	if s.signs != nil {
		if err := s.signs.sign(ctx); err != nil {
			return "", err
		}
	}
	var signed string
	err := s.points.QueryRowContext(ctx, "SELECT coalesce((SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1), '')").Scan(&signed)
	if err != nil {
		return "", reading(ctx, "the latest checkpoint", err)
	}
	return signed, nil
}
