package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/sqlite"
	"touchstone.dev/touchstone/internal/wholefile"
)

// The record's files in the data folder.
const (
	recordFile    = "record.db"
	logKeyFile    = "log.key" // 0600
	logPublicFile = "log.pub"
	gateKeyFile   = "webhook.key" // 0600
	backupsFolder = "backups"
)

// openRecord opens the record that lies in the folder, and returns the key that
// verifies its checkpoints.
func openRecord(ctx context.Context, data string, now func() time.Time) (*sqlite.Store, string, error) {
	private, public, err := logKey(data)
	if err != nil {
		return nil, "", err
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(data, recordFile), Key: private, Now: now})
	return s, public, err
}

// logKey returns the key that signs checkpoints, and makes it at the first start.
// The key names the log, at random: two servers never sign for one name.
func logKey(data string) (private, public string, err error) {
	path := filepath.Join(data, logKeyFile)
	have, err := os.ReadFile(path)
	switch {
	case err == nil:
		private = strings.TrimSpace(string(have))
		public, err = record.PublicKey(private)
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return private, public, err
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", fmt.Errorf("reading the log's key: %w", err)
	}
	if private, public, err = record.NewKey("touchstone-" + strings.ToLower(rand.Text()[:8])); err != nil {
		return "", "", err
	}
	if err := wholefile.Write(path, []byte(private+"\n"), 0o600); err != nil {
		return "", "", err
	}
	return private, public, wholefile.Write(filepath.Join(data, logPublicFile), []byte(public+"\n"), 0o644)
}

// gateKey returns what a cluster's webhooks have in their paths, and makes it at
// the first start.
func gateKey(data string) (string, error) {
	key, err := GateKey(data)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = strings.ToLower(rand.Text())
	return key, wholefile.Write(filepath.Join(data, gateKeyFile), []byte(key+"\n"), 0o600)
}

// GateKey returns what a cluster's webhooks have in their paths, so that none but
// its API server asks the server that keeps its data in the folder.
func GateKey(data string) (string, error) {
	have, err := os.ReadFile(filepath.Join(data, gateKeyFile))
	if err != nil {
		return "", fmt.Errorf("reading the webhooks' key: %w", err)
	}
	key := strings.TrimSpace(string(have))
	if key == "" {
		return "", fmt.Errorf("%s is empty\nhint: take it away, and the next start makes another", gateKeyFile)
	}
	return key, nil
}
