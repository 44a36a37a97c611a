package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// kindEviction is the kind of the entries that say what was evicted for a guard, and
// what was not.
const kindEviction = "eviction"

// mostEvictions is how many pods are evicted in a minute, for all guards together. A
// mistake in the rules must not take a whole cluster down before anybody looks.
const mostEvictions = 10

// guardSuccessor says what would come in the place of a pod, or of one of its
// containers.
func (s *Server) guardSuccessor(c *call, ask api.GuardPodAsk) (*api.GuardSuccessor, error) {
	pod, err := s.podOf(c, ask.Node, ask.Namespace, ask.Pod, ask.PodUID)
	if err != nil {
		return nil, err
	}
	if ask.Container == "" {
		return s.successor(c.Context(), pod)
	}
	out := &api.GuardSuccessor{Verdict: touchstone.Allowed, Workload: pod.Workload}
	out.Workload.Container = ask.Container
	for i := range pod.Containers {
		if one := &pod.Containers[i]; one.Name == ask.Container {
			s.restarts(c.Context(), pod, one, out)
			return out, nil
		}
	}
	return nil, problem(http.StatusNotFound, fmt.Sprintf("the pod %s/%s declares no container %.80q", ask.Namespace, ask.Pod, ask.Container), "")
}

// restarts says whether a node starts a container again that it has stopped: from the
// same pod, for which no door is asked.
func (s *Server) restarts(ctx context.Context, pod *gate.Pod, one *gate.PodContainer, out *api.GuardSuccessor) {
	if one.Restart == gate.RestartNever {
		out.Verdict = touchstone.Refused
		out.Reasons = append(out.Reasons, fmt.Sprintf("the container %s is not started again: its restart policy is Never", one.Name))
		return
	}
	if !one.Pulls {
		return
	}
	if why := s.door.Pulls(ctx, one.Image, pod.Credential); why != "" {
		out.Verdict = touchstone.Undecided
		out.Reasons = append(out.Reasons, fmt.Sprintf("the image %s is pulled at each start, and cannot be now: %s", one.Image, why))
	}
}

// successor says what would be made in the place of a pod.
func (s *Server) successor(ctx context.Context, pod *gate.Pod) (*api.GuardSuccessor, error) {
	f, err := s.nodes.Follow(ctx, pod)
	if err != nil {
		return nil, fmt.Errorf("asking what would follow the pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	out := &api.GuardSuccessor{Verdict: f.Verdict, Workload: pod.Workload, Reasons: f.Reasons}
	for _, image := range f.Images {
		why := s.door.Pulls(ctx, image, pod.Credential)
		if why == "" {
			continue
		}
		if touchstone.Undecided.Worse(out.Verdict) {
			out.Verdict = touchstone.Undecided
		}
		out.Reasons = append(out.Reasons, fmt.Sprintf("the image %s cannot be pulled: %s", image, why))
	}
	return out, nil
}

// podOf finds a pod of the guard's own node.
func (s *Server) podOf(c *call, named, namespace, name, uid string) (*gate.Pod, error) {
	node, err := c.own(named)
	if err != nil {
		return nil, err
	}
	if err := s.guards.asks(node); err != nil {
		return nil, err
	}
	pods, _, err := s.podsOf(c.Context(), node)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if p := &pods[i]; p.Namespace == namespace && p.Name == name && p.UID == uid {
			return p, nil
		}
	}
	return nil, problem(http.StatusNotFound, fmt.Sprintf("there is no pod %.80q in %.80q on the node %s with that UID", name, namespace, node), "it may be gone already, or the cluster does not tell it yet")
}

// guardEviction evicts a pod, where the rules ask for that and another may follow it.
// What is in the way is told with 200: nothing has gone wrong.
func (s *Server) guardEviction(c *call, ask api.GuardEviction) (*api.GuardEvicted, error) {
	pod, err := s.podOf(c, ask.Node, ask.Namespace, ask.Pod, ask.PodUID)
	if err != nil {
		return nil, err
	}
	if err := s.asked(c, pod, ask.Event); err != nil {
		return nil, err
	}
	next, err := s.successor(c.Context(), pod)
	if err != nil {
		return nil, err
	}
	out := &api.GuardEvicted{GuardSuccessor: *next}
	if next.Verdict != touchstone.Allowed {
		out.Problem = "what would follow it would not run: rebuild first"
		return out, s.noteEviction(c, pod, &ask, out)
	}
	if wait := s.evictions.take(s.now()); wait > 0 {
		out.Problem = fmt.Sprintf("%d pods were evicted for guards within a minute: somebody must look before more are", mostEvictions)
		out.RetryAfter = int(wait/time.Second) + 1
		return out, s.noteEviction(c, pod, &ask, out)
	}
	held, after, err := s.nodes.Evict(c.Context(), pod)
	if err != nil {
		return nil, err
	}
	if out.Done = held == ""; !out.Done {
		out.Problem, out.RetryAfter = held, int(after/time.Second)
	}
	return out, s.noteEviction(c, pod, &ask, out)
}

// asked refuses an eviction that no event asks for: one of this very pod, whose rule
// says kill where the pod is, and that is enforced there.
func (s *Server) asked(c *call, pod *gate.Pod, event string) error {
	e, err := s.door.Sighting(c.Context(), event)
	if errors.Is(err, record.ErrNotFound) {
		return problem(http.StatusUnprocessableEntity, "no event asks for it", "send the event first, and name it")
	}
	if err != nil {
		return err
	}
	book, err := s.release.Book(c.Context())
	if err != nil {
		return err
	}
	mode, err := s.door.Mode(c.Context(), s.c.Cluster, pod.Namespace)
	if err != nil {
		return err
	}
	cell, says := book.Rules.Asks(e.Reason.Rule, &pod.Place)
	switch {
	case e.Node != c.caller.Node || e.Running.PodUID != pod.UID:
		return problem(http.StatusForbidden, "the event is about another pod", "name the one that was seen in this pod")
	case e.Action != touchstone.EffectKill || !says || cell.Effect != touchstone.EffectKill:
		return problem(http.StatusForbidden, fmt.Sprintf("the rule %.80q does not say kill in %s", e.Reason.Rule, pod.Place.Environment), "the rules may have changed: ask for the ground again")
	case !mode.Enforced:
		return problem(http.StatusForbidden, fmt.Sprintf("the rules are only reported on in %s", pod.Namespace), "ask for the ground again")
	}
	return nil
}

// noteEviction writes down what was asked for, and what came of it.
func (s *Server) noteEviction(c *call, pod *gate.Pod, ask *api.GuardEviction, came *api.GuardEvicted) error {
	body, err := json.Marshal(struct {
		Asked *api.GuardEviction `json:"asked"`
		Came  *api.GuardEvicted  `json:"came"`
	}{ask, came})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), patience)
	defer cancel()
	_, err = s.store.Commit(ctx, record.Change{Kind: kindEviction, Actor: c.caller.Name, About: pod.Namespace + "/" + pod.Name, Body: body})
	if err != nil {
		return fmt.Errorf("writing down the eviction of %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// pace lets so many things happen in a time.
type pace struct {
	most  int
	every time.Duration

	mu    sync.Mutex
	taken []time.Time
}

// take takes one, or says after how long there is one again. A clock that was set
// back begins anew.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.taken[:0]
	for _, t := range p.taken {
		if age := now.Sub(t); age >= 0 && age < p.every {
			kept = append(kept, t)
		}
	}
	if p.taken = kept; len(kept) >= p.most {
		return p.every - now.Sub(kept[0])
	}
	p.taken = append(p.taken, now)
	return 0
}
