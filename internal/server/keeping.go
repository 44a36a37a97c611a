package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

func (s *Server) namespaces(c *call) (*api.Page[gate.Mode], error) {
	all, err := s.door.Modes(c.Context(), c.URL.Query().Get("cluster"))
	if err != nil {
		return nil, err
	}
	return page(all, ""), nil
}

// setMode switches a namespace between report and enforce. What is in the way is
// told with 200 and the mode as it was: nothing has gone wrong.
func (s *Server) setMode(c *call, ask api.ModeAsk) (*api.ModeAnswer, error) {
	cluster := ask.Cluster
	if cluster == "" {
		cluster = s.c.Cluster
	}
	namespace := c.PathValue("namespace")
	if len(c.caller.Scope) > 0 {
		environments, err := s.environmentsOf(c, cluster, namespace)
		if err != nil {
			return nil, err
		}
		if err := c.caller.within(environments...); err != nil {
			return nil, err
		}
	}
	mode, inTheWay, err := s.door.SetMode(c.Context(), gate.Switch{
		Actor: c.caller.Name, Cluster: cluster, Namespace: namespace, Enforce: ask.Enforce, Anyway: ask.Anyway, Reason: ask.Reason,
	})
	if err != nil {
		return nil, err
	}
	return &api.ModeAnswer{Mode: mode, InTheWay: shownWorkloads(inTheWay)}, nil
}

// environmentsOf returns what a namespace is, as far as what runs there tells, or
// else its name alone.
func (s *Server) environmentsOf(c *call, cluster, namespace string) ([]string, error) {
	book, err := s.release.Book(c.Context())
	if err != nil {
		return nil, err
	}
	out := []string{book.Rules.PlaceOf(cluster, namespace, "", nil).Environment}
	all, _, err := s.door.RunningNow(c.Context(), gate.RunningQuery{Cluster: cluster, Namespace: namespace, Limit: mostPage})
	if len(all) > 0 {
		out = nil
	}
	for i := range all {
		if env := all[i].Place.Environment; !slices.Contains(out, env) {
			out = append(out, env)
		}
	}
	return out, err
}

func (s *Server) entries(c *call) (*api.Page[api.Entry], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := record.EntryQuery{About: c.URL.Query().Get("about"), Limit: limit + 1}
	if kind := c.URL.Query().Get("kind"); kind != "" {
		q.Kinds = []string{kind}
	}
	switch order := c.URL.Query().Get("order"); order {
	case "":
	case "newest":
		q.Descending = true
	default:
		return nil, problem(http.StatusBadRequest, fmt.Sprintf("there is no order %q", order), "newest, or leave it out")
	}
	if after != "" {
		if q.After, err = strconv.ParseUint(after, 10, 64); err != nil {
			return nil, problem(http.StatusBadRequest, fmt.Sprintf("after %q is not a number of the log", after), "hand back the next of the page before")
		}
	}
	var out []api.Entry
	next := ""
	for e, err := range s.store.Entries(c.Context(), q) {
		if err != nil {
			return nil, err
		}
		if len(out) == limit {
			next = strconv.FormatUint(out[limit-1].Seq, 10)
			break
		}
		out = append(out, api.Entry{Entry: e})
	}
	return page(out, next), s.fillBodies(c, out)
}

// fillBodies adds the bodies that retention has left.
func (s *Server) fillBodies(c *call, all []api.Entry) error {
	for i := range all {
		if all[i].Body == "" {
			continue
		}
		body, err := s.store.Blob(c.Context(), all[i].Body)
		if errors.Is(err, record.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the body of entry %d: %w", all[i].Seq, err)
		}
		if json.Valid(body) {
			all[i].Document = body
		}
	}
	return nil
}

func (s *Server) checkpoint(c *call) (*api.Checkpoint, error) {
	note, err := s.kept.Checkpoint(c.Context())
	if err != nil {
		return nil, err
	}
	return &api.Checkpoint{Note: note, Key: s.publicKey}, nil
}

// verify reads the whole log, against every checkpoint that is kept here and the
// one that was kept elsewhere.
func (s *Server) verify(c *call, ask api.VerifyAsk) (*record.Verification, error) {
	notes, err := s.kept.Checkpoints(c.Context())
	if err != nil {
		return nil, err
	}
	if ask.Note != "" {
		given := record.SplitNotes(ask.Note)
		if len(given) == 0 {
			given = []string{ask.Note} // and Verify says that it does not count
		}
		notes = append(notes, given...)
	}
	v, err := record.Verify(c.Context(), s.store, record.Trust{Checkpoints: notes, Key: s.publicKey, Bodies: true})
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func (s *Server) whoAmI(c *call) (*api.Token, error) { return &c.caller.Token, nil }

func (s *Server) listTokens(c *call) (*api.Page[api.Token], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	return s.tokens.list(c.Context(), after, limit)
}

func (s *Server) makeToken(c *call, ask api.TokenAsk) (*api.Token, error) {
	return s.tokens.make(c.Context(), c.caller, ask)
}

func (s *Server) revokeToken(c *call, why api.Remark) (nothing, error) {
	return nothing{}, s.tokens.revoke(c.Context(), c.caller, c.PathValue("id"), why.Reason)
}

// backup writes the record, whole and as of one moment, into the data folder. Keys
// and certificate are no part of it: whoever gets a backup cannot sign for the
// server.
func (s *Server) backup(c *call) (*api.Backup, error) {
	if err := c.caller.within(); err != nil {
		return nil, err
	}
	now := s.now().UTC()
	name := strings.NewReplacer(":", "", "-", "").Replace(now.Format("2006-01-02T15:04:05Z")) + "-" + strings.ToLower(record.NewID(now)[20:]) + ".db"
	path := filepath.Join(s.c.Data, backupsFolder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of backups: %w", err)
	}
	size, err := s.kept.Backup(c.Context(), path)
	if err != nil {
		return nil, err
	}
	out := &api.Backup{Path: path, Bytes: size, At: now}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	_, err = s.store.Commit(c.Context(), record.Change{Kind: "backup", Actor: c.caller.Name, About: name, Body: body})
	return out, err
}
