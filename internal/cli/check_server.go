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
	if _, err := os.Stat(ask.Reference); err == nil {
		return nil, fmt.Errorf("%s is a file here, and a server judges what is in a registry\nhint: push it, and name the image; or leave --server out (the variable TOUCHSTONE_SERVER is one too)", ask.Reference)
	}
	p.ignored()
	p.watch()
	client, err := p.connect(c)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause *= 2 {
		got, err := client.Check(waiting, ask)
		switch {
		case ctx.Err() != nil:
			return nil, openFailed(ctx, err)
		case waiting.Err() != nil:
			return nil, outside(fmt.Errorf("%s was not scanned within %s\nhint: touchstone scans tells how far it is; --wait gives it longer", ask.Reference, patience))
		case err != nil:
			return nil, answered(err)
		case !got.Scanning && got.Check != nil:
			return got.Check, nil
		case !got.Scanning:
			return nil, outside(errors.New("the server's answer holds no check\nhint: is it of another version?"))
		}
		p.progress.show(p.now(), "not seen before: the server scans it")
		select {
		case <-waiting.Done():
		case <-time.After(min(pause, time.Duration(max(got.RetryAfter, 1))*time.Second)):
		}
	}
}

// ignored names what is set here and only the server has a say in.
func (p *program) ignored() {
	s := &p.settings
	for _, one := range []struct{ named, beside, what string }{
		{s.rules, rules.DefaultFile, "rules (touchstone rules apply asks for others)"},
		{s.waivers, filepath.Join(filepath.Dir(s.rules), rules.DefaultWaivers), "waivers (touchstone waive import asks for these)"},
		{s.golden, filepath.Join(filepath.Dir(s.rules), goldenFile), "golden bases"},
	} {
		if _, err := os.Stat(one.beside); one.named == "" && err == nil {
			one.named = one.beside
		}
		if one.named != "" {
			p.note("%s is ignored: the server has its own %s", one.named, one.what)
		}
	}
	for _, one := range []struct {
		flag string
		set  bool
	}{{"mirror", len(s.mirrors) > 0}, {"insecure-registry", len(s.insecure) > 0}, {"vex", len(s.vex) > 0}, {"containerd", s.containerd != ""}} {
		if one.set {
			p.note("--%s is ignored: the server has its own", one.flag)
		}
	}
}
