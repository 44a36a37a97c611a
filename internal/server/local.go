package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/sqlite"
)

// Restore puts a backup in the place of the record in a data folder whose server
// does not run, after it was verified, its checkpoints by the folder's key: that of
// the server that wrote the backup. Where it is lost, unsigned leaves the
// checkpoints aside. Restore returns where the record that was there is kept.
func Restore(ctx context.Context, data, backup string, unsigned bool) (kept string, err error) {
	public := ""
	if !unsigned {
		if _, err := os.Stat(filepath.Join(data, logKeyFile)); err != nil {
			return "", fmt.Errorf("restoring %s: %w\nhint: put the %s of the server that wrote the backup there; if it is lost, --unsigned", backup, err, logKeyFile)
		}
		if _, public, err = logKey(data); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	return sqlite.Restore(ctx, backup, filepath.Join(data, recordFile), public)
}

// LocalToken makes a token for whoever may write the data folder of a server that
// does not run: the way back in when the last token is lost.
func LocalToken(ctx context.Context, data string, ask api.TokenAsk, now func() time.Time) (*api.Token, error) {
	if _, err := os.Stat(filepath.Join(data, recordFile)); err != nil {
		return nil, fmt.Errorf("no server has kept its data here: %w\nhint: --data names its folder", err)
	}
	s, _, err := openRecord(ctx, data, now)
	if err != nil {
		return nil, err
	}
	made, err := (&tokens{store: s, now: now}).make(ctx, local(), ask)
	return made, errors.Join(err, s.Close())
}
