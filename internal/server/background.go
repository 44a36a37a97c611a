package server

import (
	"context"
	"time"
)

// background is what goes on while the server serves.
func (s *Server) background() []func(context.Context) error {
	all := []func(context.Context) error{
		s.door.Run,
		s.relay,
		s.every(time.Minute, "tending requests and waivers", s.tend),
		s.every(time.Minute, "measuring", s.measure),
		s.every(time.Minute, "looking at its health", func(ctx context.Context) error { s.look(ctx); return nil }),
		s.every(time.Minute, "noting which guards are heard", s.guards.keep),
		s.every(time.Hour, "renewing the certificate", func(context.Context) error { return s.authority.Renew(s.now()) }),
		s.every(time.Hour, "forgetting Idempotency-Keys", s.forgetDone),
		s.every(6*time.Hour, "removing what retention ends", s.retain),
	}
	if s.c.UpdateEvery > 0 && s.c.Update != nil {
		all = append(all, s.every(s.c.UpdateEvery, "fetching advisories", s.c.Update))
	}
	for _, g := range s.gates {
		if g.Run != nil {
			all = append(all, g.Run)
		}
	}
	return all
}

// every does something at once and then again and again. What fails is logged and
// tried again: none of it is worth the server's end.
func (s *Server) every(pause time.Duration, what string, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTicker(pause)
		defer t.Stop()
		for {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				s.log.Error(what+" has failed", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-t.C:
			}
		}
	}
}

// tend has release do what time asks for, and announces the waivers that are about
// to lapse: in the log of the process; whoever reads the record finds them there.
func (s *Server) tend(ctx context.Context) error {
	lapsing, err := s.release.Tend(ctx)
	for i := range lapsing {
		w := &lapsing[i]
		s.log.Warn("a waiver is about to lapse", "waiver", w.ID, "rule", w.Rule, "owner", w.Owner, "until", w.Until)
	}
	return err
}

// retain removes what retention ends. The entries stay, and the chain with them.
func (s *Server) retain(ctx context.Context) error {
	_, err := s.door.Expire(ctx, s.kept, s.c.Retention)
	return err
}
