package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/rules"
)

// checkBy asks a server, which will admit by the same answer, and waits while it
// reads the artifact for the first time.
func (p *program) checkBy(ctx context.Context, c *connection, ask api.CheckAsk, patience time.Duration) (*touchstone.Check, error) {
	p.ignored()
	client, err := p.connect(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := client.Check(ctx, ask)
		if err != nil {
			return nil, serverFailed(ctx, err)
		}
		if !got.Scanning && got.Check != nil {
			return got.Check, nil
		}
		p.progress.show(p.now(), "not seen before: the server scans it")
		select {
		case <-ctx.Done():
			return nil, outside(fmt.Errorf("%s was not scanned within %s\nhint: touchstone decisions tells when it is; --wait gives it longer", plain(ask.Reference), patience))
		case <-time.After(time.Duration(max(got.RetryAfter, 1)) * time.Second):
		}
	}
}

// ignored names the local files that a server does not look at.
func (p *program) ignored() {
	if p.settings.rules != "" {
		p.note("%s is ignored: the server's rules hold", plain(p.settings.rules))
	}
	for _, name := range []string{rules.DefaultFile, rules.DefaultWaivers} {
		if _, err := os.Stat(name); err == nil && p.settings.rules == "" {
			p.note("%s here is ignored: the server's rules and waivers hold (touchstone rules apply, touchstone waive import)", name)
		}
	}
	if p.settings.waivers != "" {
		p.note("%s is ignored: the server's waivers hold (touchstone waive import)", plain(filepath.Base(p.settings.waivers)))
	}
}

// serverFailed sorts what a server answers into wrong usage and what is nobody's.
func serverFailed(ctx context.Context, err error) error {
	var problem *api.ProblemError
	if errors.As(err, &problem) && problem.Status < 500 && ctx.Err() == nil {
		return err
	}
	return outside(err)
}
