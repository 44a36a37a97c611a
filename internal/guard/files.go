package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"touchstone.dev/touchstone/internal/rules"
)

// Files is a Source without a server: a rules file and, beside it, one of waivers.
// Both are read again when they change.
type Files struct {
	Rules   string // path
	Waivers string // path; there need be no such file, or none named
	// Cluster is the name that the rows of places may ask for.
	Cluster string
	// Every is how often the files are looked at; 2 seconds when zero.
	Every time.Duration
	Now   func() time.Time // time.Now when nil

	read  string // what the files looked like when they were read last
	wrong bool   // what was read then
}

var _ Source = (*Files)(nil)

// Ground implements Source. Files that are wrong are an error once; then they are
// waited for to change.
func (f *Files) Ground(ctx context.Context, last *Ground) (*Ground, error) {
	every := f.Every
	if every == 0 {
		every = 2 * time.Second
	}
	for {
		look, err := f.look()
		if err != nil {
			return nil, err
		}
		if look != f.read {
			g, err := f.load()
			f.read, f.wrong = look, err != nil
			return g, err
		}
		if last != nil && !f.wrong && f.now().Sub(last.Confirmed) > time.Minute {
			again := *last
			again.Confirmed = f.now()
			return &again, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(every):
		}
	}
}

func (f *Files) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

// look tells one state of the files from another without reading them.
func (f *Files) look() (string, error) {
	out := ""
	for _, path := range []string{f.Rules, f.Waivers} {
		info, err := os.Stat(path)
		switch {
		case path == "" || errors.Is(err, fs.ErrNotExist) && path != f.Rules:
			out += "none\n"
		case err != nil:
			return "", fmt.Errorf("reading the rules: %w", err)
		default:
			out += fmt.Sprintf("%d %d %d\n", info.Size(), info.ModTime().UnixNano(), info.Sys().(*syscall.Stat_t).Ino)
		}
	}
	return out, nil
}

func (f *Files) load() (*Ground, error) {
	now := f.now()
	source, err := os.ReadFile(f.Rules)
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	g := &Ground{Cluster: f.Cluster, Confirmed: now}
	if g.Rules, _, err = rules.Load(f.Rules, source, now); err != nil {
		return nil, err
	}
	if f.Waivers == "" {
		return g, nil
	}
	source, err = os.ReadFile(f.Waivers)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the waivers: %w", err)
	}
	g.Waivers, _, err = rules.LoadWaivers(f.Waivers, source, g.Rules, now)
	g.WaiversDigest = rules.WaiversDigest(source)
	return g, err
}
