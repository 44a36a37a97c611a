package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
)

const (
	waitGround = 30 * time.Second // how long a guard waits for another ground
	lookGround = time.Second      // how often rules and modes are looked at meanwhile
)

// guardGround tells a guard what it judges by, as soon as that is another than it
// has.
func (s *Server) guardGround(c *call) (*api.GuardGround, error) {
	node, err := c.own(c.URL.Query().Get("node"))
	if err != nil {
		return nil, err
	}
	since := touchstone.Digest(c.URL.Query().Get("since"))
	end := time.NewTimer(waitGround)
	defer end.Stop()
	for {
		pods, changed, err := s.podsOf(c.Context(), node)
		if err != nil {
			return nil, err
		}
		on, err := s.standing(c.Context())
		if err != nil {
			return nil, err
		}
		g, err := s.groundOf(c.Context(), node, on, pods)
		if err != nil || g.Version != since {
			return g, err
		}
		more, err := s.awaitChange(c.Context(), on, changed, end.C)
		if err != nil {
			return nil, err
		}
		if !more {
			return &api.GuardGround{Version: since, Unchanged: true, At: s.now().UTC(), Node: node}, nil
		}
	}
}

// awaitChange waits until something may be another than it stands, and reports false
// when that takes too long or the server ends.
func (s *Server) awaitChange(ctx context.Context, on standing, pods <-chan struct{}, end <-chan time.Time) (bool, error) {
	look := time.NewTicker(lookGround)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-s.ending:
			return false, nil
		case <-end:
			return false, nil
		case <-pods:
			return true, nil
		case <-look.C:
			if now, err := s.standing(ctx); err != nil || now != on {
				return true, err
			}
		}
	}
}

// standing tells one state of rules and modes from another.
type standing struct {
	book  *gate.Book
	modes uint64
}

func (s *Server) standing(ctx context.Context) (standing, error) {
	modes := s.door.ModeChanges()
	book, err := s.release.Book(ctx)
	return standing{book, modes}, err
}

// groundOf is what the guard of a node judges by, on what stands.
func (s *Server) groundOf(ctx context.Context, node string, on standing, pods []gate.Pod) (*api.GuardGround, error) {
	book := on.book
	g := &api.GuardGround{
		Cluster: s.c.Cluster, Node: node, Rules: touchstone.DigestOf(book.Source), Source: string(book.Source),
		Waivers: book.Waivers, WaiversDigest: book.WaiversDigest, Place: book.Rules.PlaceOf(s.c.Cluster, "", node, nil),
		Pods: make([]api.GuardPod, 0, len(pods)),
	}
	if g.Waivers == nil {
		g.Waivers = []touchstone.Waiver{}
	}
	for i := range pods {
		mode, err := s.door.Mode(ctx, s.c.Cluster, pods[i].Namespace)
		if err != nil {
			return nil, err
		}
		g.Pods = append(g.Pods, api.GuardPod{Pod: pods[i], Enforced: mode.Enforced})
	}
	data, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	g.Version, g.At = touchstone.DigestOf(data), s.now().UTC()
	return g, nil
}

// manifestOf reads which image is asked about.
func manifestOf(c *call) (config touchstone.Digest, layers []touchstone.Digest, err error) {
	config = touchstone.Digest(c.PathValue("config"))
	if !config.Valid() {
		return "", nil, problem(http.StatusBadRequest, "the config is not named by a SHA-256 digest", "as in sha256:…")
	}
	named := c.URL.Query()["layer"]
	if len(named) > mostLayers {
		return "", nil, problem(http.StatusBadRequest, "an image with so many layers is not read", "")
	}
	for _, l := range named {
		if !touchstone.Digest(l).Valid() {
			return "", nil, problem(http.StatusBadRequest, "a layer is not named by a SHA-256 digest", "name its diff ID, of the image's config")
		}
		layers = append(layers, touchstone.Digest(l))
	}
	return config, layers, nil
}

// mostLayers is more than any runtime puts on top of each other.
const mostLayers = 1000
