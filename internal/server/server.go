package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
	"touchstone.dev/touchstone/internal/sqlite"
	"touchstone.dev/touchstone/internal/wholefile"
)

// Server is one that serves. New makes it, Run runs it.
type Server struct {
	c         Config
	log       *slog.Logger
	now       func() time.Time
	kept      *sqlite.Store // what only this store can do
	store     record.Store  // the same, with an eye on what is written
	publicKey string        // verifies checkpoints
	door      *gate.Door
	release   *release.Release
	authority *authority
	tokens    *tokens
	attempts  *attempts
	turns     turns
	heavy     chan struct{} // holds one for each call that reads everything
	broker    *broker
	figures   *figures
	health    health
	gates     []*Gate
	nodes     Nodes // nil where no cluster can be asked
	guards    *guards
	evictions pace
	webhook   http.Handler
	handler   http.Handler

	started  chan struct{} // closed when it answers
	ending   chan struct{} // closed when who waits is to wait no longer
	stopping atomic.Bool
	closing  sync.Once
	api, web net.Listener
}

// New opens the data folder, or makes it: keys, certificate, record and, where
// there never was a token, the first one. Close must be called, or Run.
func New(ctx context.Context, c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		c: c, log: c.Log, now: c.Now, started: make(chan struct{}), ending: make(chan struct{}),
		attempts: newAttempts(c.Now), heavy: make(chan struct{}, mostHeavy), broker: newBroker(), figures: newFigures(),
		evictions: pace{most: mostEvictions, every: time.Minute},
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	if err := s.folder(); err != nil {
		return err
	}
	var err error
	if s.authority, err = openAuthority(s.c.Data, s.c.Hosts, s.now()); err != nil {
		return err
	}
	if s.kept, s.publicKey, err = openRecord(ctx, s.c.Data, s.c.Now); err != nil {
		return err
	}
	s.store = &watched{Store: s.kept, figures: s.figures}
	s.tokens = &tokens{store: s.store, now: s.now}
	if s.release, err = release.New(release.Config{Store: s.store, Rules: s.c.Rules, Now: s.now}); err != nil {
		return fmt.Errorf("taking in %s: %w", s.c.RulesName, err)
	}
	s.door = gate.NewDoor(gate.DoorConfig{
		Gate: s.c.Gate, Store: s.store, Road: s.release, Keychain: s.c.Keychain, Platforms: s.c.Platforms, Queue: s.c.Queue,
		Workers: s.c.Workers, Registries: s.c.Registries, Enforce: s.c.Enforce, Log: s.log, Now: s.now,
	})
	s.release.Through(s.door)
	if s.guards, err = openGuards(ctx, s.store, s.now); err != nil {
		return err
	}
	if err := s.openGates(); err != nil {
		return err
	}
	if s.handler, err = s.routes(); err != nil {
		return err
	}
	return s.firstToken(ctx)
}

// folder makes the data folder and shuts out everybody else.
func (s *Server) folder() error {
	if err := os.MkdirAll(s.c.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	info, err := os.Stat(s.c.Data)
	if err != nil {
		return fmt.Errorf("looking at the data folder: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(s.c.Data, 0o700); err != nil {
		// A volume may belong to somebody else; the files themselves are 0600.
		s.log.Warn("others may look into the data folder", "folder", s.c.Data, "error", err)
	}
	return nil
}

func (s *Server) openGates() error {
	key, err := gateKey(s.c.Data)
	if err != nil {
		return err
	}
	rooms := &Rooms{
		GateKey: key,
		Store:   s.store, Door: s.door, Release: s.release, Cluster: s.c.Cluster, CABundle: s.authority.CABundle, Log: s.log, Now: s.now,
	}
	for _, open := range s.c.Gates {
		g, err := open(rooms)
		if err != nil {
			return err
		}
		s.gates = append(s.gates, g)
		if g.Nodes != nil {
			s.nodes = g.Nodes
		}
		if g.Webhook == nil {
			continue
		}
		if s.webhook != nil {
			return errors.New("two gates want to answer a cluster, and there is one port for it")
		}
		s.webhook = s.figures.admissions(g.Webhook)
	}
	return s.figures.register(s)
}

// firstToken makes the first administrator's token, where there never was one.
func (s *Server) firstToken(ctx context.Context) error {
	path := FirstToken(s.c.Data)
	first, err := s.tokens.first(ctx, func(secret string) error { return wholefile.Write(path, []byte(secret+"\n"), 0o600) })
	if err != nil || first == nil {
		return err
	}
	fmt.Fprintf(s.c.Tell, "The first administrator's token, told this once and written to %s:\n\n  %s\n\nMove it to a safe place, make tokens for people with touchstone token create, and revoke it.\n", path, first.Secret)
	return nil
}

// Started is closed when the server answers; API and Webhook then tell where.
func (s *Server) Started() <-chan struct{} { return s.started }

// API is the address of the API, host:port.
func (s *Server) API() string { return s.api.Addr().String() }

// Webhook is the address at which Gates are asked; empty without one.
func (s *Server) Webhook() string {
	if s.web == nil {
		return ""
	}
	return s.web.Addr().String()
}

// grace is how long calls that have begun may take when the server ends.
const grace = 20 * time.Second

// Run serves until the context ends, finishes what has begun, and closes
// everything.
func (s *Server) Run(ctx context.Context) error {
	if err := s.listen(); err != nil {
		return errors.Join(err, s.Close())
	}
	back, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	work, back := errgroup.WithContext(back)
	var answering []*http.Server
	serve := func(on net.Listener, h http.Handler) {
		server := s.httpServer(h)
		answering = append(answering, server)
		work.Go(func() error {
			if err := server.ServeTLS(on, "", ""); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("answering at %s: %w", on.Addr(), err)
			}
			return nil
		})
	}
	if s.web != nil {
		serve(s.web, s.webhook)
	}
	serve(s.api, s.handler)
	for _, run := range s.background() {
		work.Go(func() error {
			if err := run(back); err != nil && back.Err() == nil {
				return err
			}
			return nil
		})
	}
	close(s.started)
	s.log.Info("serving", "api", s.API(), "webhook", s.Webhook(), "data", s.c.Data)
	select {
	case <-ctx.Done():
	case <-back.Done(): // something has failed
	}
	s.stopping.Store(true)
	close(s.ending)
	s.broker.close()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	var closed sync.WaitGroup
	for _, server := range answering {
		closed.Go(func() {
			if err := server.Shutdown(finish); err != nil {
				s.log.Warn("calls were cut off", "error", err)
				_ = server.Close() // they were told
			}
		})
	}
	closed.Wait()
	stop()
	return errors.Join(work.Wait(), s.Close())
}

// listen opens the ports, and writes down where the API is.
func (s *Server) listen() error {
	var err error
	if s.api, err = net.Listen("tcp", s.c.Listen); err != nil {
		return fmt.Errorf("opening the port of the API: %w\nhint: --listen names another", err)
	}
	if s.webhook != nil {
		if s.web, err = net.Listen("tcp", s.c.WebhookListen); err != nil {
			_ = s.api.Close() // the error that matters is the first
			return fmt.Errorf("opening the port of the webhook: %w\nhint: --webhook-listen names another", err)
		}
	}
	host, port, err := net.SplitHostPort(s.API())
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return wholefile.Write(filepath.Join(s.c.Data, addressFile), []byte("https://"+net.JoinHostPort(host, port)+"\n"), 0o600)
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: patience, WriteTimeout: 2 * patience, // longer where a route takes longer
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		TLSConfig: &tls.Config{GetCertificate: s.authority.Certificate, MinVersion: tls.VersionTLS12},
		ErrorLog:  log.New(complaints{s.log}, "", 0),
	}
}

// complaints are net/http's own, of callers that do it wrong.
type complaints struct{ log *slog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	c.log.Debug("a connection has failed", "error", string(line))
	return len(line), nil
}

// Close closes the record. Run does it by itself.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		if s.kept != nil {
			err = s.kept.Close()
		}
	})
	return err
}
