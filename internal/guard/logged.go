package guard

import (
	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/session"
)

// toldLogin is a session that was told of, and of which there will be more to tell.
type toldLogin struct {
	event touchstone.RuntimeEvent
	// stopping is true while its container is being stopped because of it: what comes
	// of that is to be told with all else.
	stopping bool
	ended    bool // meanwhile
}

// mostTold is how many sessions are remembered; of more, the end is not told.
const mostTold = 4096

// remember keeps the event of a session that is open, to tell of its end; stopping
// says that settled will be called.
func (g *Guard) remember(id uint64, e *touchstone.RuntimeEvent, stopping bool) {
	if id == 0 {
		return
	}
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	if len(g.logins.told) < mostTold {
		g.logins.told[id] = &toldLogin{event: *e, stopping: stopping}
	}
}

// settled takes over what has come of the container, and gives the event what has
// become known of the session meanwhile. Each of the two would take the other's place
// where the event is sent to.
func (g *Guard) settled(id uint64, e *touchstone.RuntimeEvent) {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	t := g.logins.told[id]
	if t == nil {
		return
	}
	t.stopping = false
	t.event.Steps = e.Steps
	e.Login, e.Tree = t.event.Login, t.event.Tree
	if t.ended {
		delete(g.logins.told, id)
	}
}

// knownMore tells that admission or the runtime knows more of a session.
func (g *Guard) knownMore(in *session.Session) {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	if t := g.logins.told[in.ID]; t != nil {
		t.learn(in)
	}
}

// learn takes over what is known of the session, but for who let it in.
func (t *toldLogin) learn(in *session.Session) {
	login := in.Login()
	if before := t.event.Login; before != nil && before.Admitted != "" {
		login.By, login.Admitted = before.By, before.Admitted
	}
	t.event.Login = &login
}

// loggedOut tells how long a session was, and what it has executed: the same event
// once more, with its end.
func (g *Guard) loggedOut(in *session.Session) {
	if e := g.over(in); e != nil {
		g.write(e)
	}
}

// over returns what is to be told of the end of a session; nil for nothing, or nothing
// yet.
func (g *Guard) over(in *session.Session) *touchstone.RuntimeEvent {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	t := g.logins.told[in.ID]
	if t == nil {
		return nil
	}
	t.learn(in)
	t.event.Tree = in.Tree
	if t.ended = true; t.stopping {
		return nil
	}
	delete(g.logins.told, in.ID)
	return &t.event
}

// joined takes over who people are, as the server knows by the door's own record.
func (g *Guard) joined(who map[string]touchstone.Login) {
	g.logins.mu.Lock()
	defer g.logins.mu.Unlock()
	for _, t := range g.logins.told {
		if l, ok := who[t.event.ID]; ok && t.event.Login != nil {
			login := *t.event.Login
			login.By, login.Admitted = l.By, l.Admitted
			t.event.Login = &login
		}
	}
}
