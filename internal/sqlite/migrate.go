package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

// schema holds the migrations, in the order of their numbers. One that was
// released is never changed.
//
//go:embed schema/*.sql
var schema embed.FS

// mark is the application_id of our databases: "Tsto".
const mark = 0x5473746f

// migrate brings a database to the newest version, each step in a transaction of
// its own. A new file gets all of them. To is the version to stop at.
func migrate(ctx context.Context, c *sql.Conn, path string, to int) error {
	version, err := versionOf(ctx, c, path)
	if err != nil {
		return err
	}
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	for i := version; i < to; i++ {
		script, err := schema.ReadFile(steps[i])
		if err != nil {
			return err
		}
		if err := step(ctx, c, string(script), i+1); err != nil {
			return fmt.Errorf("bringing %s to version %d: %w", path, i+1, fault(err))
		}
	}
	return nil
}

// newest returns the number of the last migration.
func newest() int {
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return 0 // the pattern is well-formed
	}
	return len(steps)
}

func step(ctx context.Context, c *sql.Conn, script string, version int) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, mark)); err != nil {
		return err
	}
	return tx.Commit()
}

// versionOf reads how far a database has been migrated, and refuses one that is
// not ours or newer than this program.
func versionOf(ctx context.Context, c *sql.Conn, path string) (int, error) {
	var version, application, tables int
	for query, into := range map[string]*int{
		"PRAGMA user_version":                &version,
		"PRAGMA application_id":              &application,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := c.QueryRowContext(ctx, query).Scan(into); err != nil {
			return 0, fmt.Errorf("opening %s: %w", path, fault(err))
		}
	}
	switch {
	case tables == 0 && version == 0:
		return 0, nil
	case application != mark:
		return 0, fmt.Errorf("opening %s: it is the database of another program", path)
	case version > newest():
		return 0, fmt.Errorf("opening %s: it is of version %d, and this program knows up to %d\nhint: start the newer touchstone that wrote it, or restore a backup from before", path, version, newest())
	}
	return version, nil
}
