package server

import (
	"errors"
	"fmt"
	"net/http"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

func (s *Server) promote(c *call, ask release.PromotionAsk) (*release.Result, error) {
	if err := c.caller.within(ask.To); err != nil {
		return nil, err
	}
	return s.release.Promote(c.Context(), c.caller.person(), ask)
}

func (s *Server) promotions(c *call) (*api.Page[touchstone.Promotion], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	all, next, err := s.release.PromotionsList(c.Context(), release.PromotionQuery{
		Artifact: q.Get("artifact"), Environment: q.Get("environment"), After: after, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	return page(all, next), nil
}

func (s *Server) requests(c *call) (*api.Page[release.Request], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	q := c.URL.Query()
	all, next, err := s.release.Requests(c.Context(), release.RequestQuery{
		State: release.State(q.Get("state")), Kind: release.Kind(q.Get("kind")), After: after, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	return page(all, next), nil
}

func (s *Server) request(c *call) (*release.Request, error) {
	r, err := s.release.Request(c.Context(), c.PathValue("id"))
	return r, noRequest(err, c.PathValue("id"))
}

func noRequest(err error, id string) error {
	if errors.Is(err, record.ErrNotFound) {
		return problem(http.StatusNotFound, fmt.Sprintf("there is no request %q", id), "touchstone requests lists them")
	}
	return err
}

// concerns returns the environments that a request is about; none for all.
func concerns(r *release.Request) []string {
	switch {
	case r.Promotion != nil:
		return []string{r.Promotion.To}
	case r.Waiver != nil:
		return r.Waiver.Environments
	case r.Improvement != nil:
		return []string{r.Improvement.Place.Environment}
	default:
		return nil
	}
}

// ask asks for a waiver, rules or an improvement. What a request says of itself
// beside that (its state, who agreed) is release's to say.
func (s *Server) ask(c *call, r release.Request) (*release.Request, error) {
	if r.Kind == release.KindPromotion {
		return nil, problem(http.StatusUnprocessableEntity, "a promotion is asked for elsewhere", "POST /v1/promotions")
	}
	if err := c.caller.within(concerns(&r)...); err != nil {
		return nil, err
	}
	asked := release.Request{Kind: r.Kind, Waiver: r.Waiver, Rules: r.Rules, Improvement: r.Improvement}
	return s.release.Ask(c.Context(), c.caller.person(), asked)
}

// open finds a request that the caller is to answer.
func (s *Server) answering(c *call) error {
	r, err := s.release.Request(c.Context(), c.PathValue("id"))
	if err != nil {
		return noRequest(err, c.PathValue("id"))
	}
	return c.caller.within(concerns(r)...)
}

func (s *Server) approve(c *call, why api.Remark) (*release.Request, error) {
	if err := s.answering(c); err != nil {
		return nil, err
	}
	return s.release.Approve(c.Context(), c.caller.person(), c.PathValue("id"), why.Reason)
}

func (s *Server) reject(c *call, why api.Remark) (*release.Request, error) {
	if err := s.answering(c); err != nil {
		return nil, err
	}
	return s.release.Reject(c.Context(), c.caller.person(), c.PathValue("id"), why.Reason)
}

func (s *Server) waivers(c *call) (*api.Page[touchstone.Waiver], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	all, next, err := s.release.Waivers(c.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	return page(all, next), nil
}

// importWaivers asks for every waiver of a file. They may be about every
// environment, and a token that is for some of them asks one by one.
func (s *Server) importWaivers(c *call, file api.WaiverFile) (*api.Imported, error) {
	if err := c.caller.within(); err != nil {
		return nil, err
	}
	asked, warnings, err := s.release.Import(c.Context(), c.caller.person(), file.Name, []byte(file.Text))
	if err != nil {
		return nil, err
	}
	out := &api.Imported{Requests: asked}
	if asked == nil {
		out.Requests = []release.Request{}
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, w.String())
	}
	return out, nil
}

func (s *Server) revokeWaiver(c *call, why api.Remark) (nothing, error) {
	id := c.PathValue("id")
	if len(c.caller.Scope) > 0 {
		book, err := s.release.Book(c.Context())
		if err != nil {
			return nothing{}, err
		}
		for i := range book.Waivers {
			if w := &book.Waivers[i]; w.ID == id {
				if err := c.caller.within(w.Environments...); err != nil {
					return nothing{}, err
				}
			}
		}
	}
	return nothing{}, s.release.Revoke(c.Context(), c.caller.person(), id, why.Reason)
}

func (s *Server) freezes(c *call) (*api.Page[touchstone.Freeze], error) {
	after, limit, err := paging(c)
	if err != nil {
		return nil, err
	}
	all, next, err := s.release.Freezes(c.Context(), after, limit)
	if err != nil {
		return nil, err
	}
	return page(all, next), nil
}

func (s *Server) freeze(c *call, f touchstone.Freeze) (*touchstone.Freeze, error) {
	if err := c.caller.within(f.Environments...); err != nil {
		return nil, err
	}
	return s.release.Freeze(c.Context(), c.caller.person(), f)
}

func (s *Server) thaw(c *call, why api.Remark) (nothing, error) {
	id := c.PathValue("id")
	if len(c.caller.Scope) > 0 {
		book, err := s.release.Book(c.Context())
		if err != nil {
			return nothing{}, err
		}
		for i := range book.Freezes {
			if f := &book.Freezes[i]; f.ID == id {
				if err := c.caller.within(f.Environments...); err != nil {
					return nothing{}, err
				}
			}
		}
	}
	return nothing{}, s.release.Thaw(c.Context(), c.caller.person(), id, why.Reason)
}

func (s *Server) rules(c *call) (*api.Rules, error) {
	v, err := s.release.RulesInForce(c.Context())
	if err != nil {
		return nil, err
	}
	return &api.Rules{Digest: v.Digest, Source: v.Source, From: v.From, By: v.By}, nil
}
