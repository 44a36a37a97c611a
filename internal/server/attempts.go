package server

import (
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// attempts bounds how often a wrong token may be tried.
//
// It counts by address and, for tokens that exist, by the token's id as well: many
// callers share the address of a proxy, and one of them who guesses must not lock
// the others out. Nobody's word is taken for where they come from
// (X-Forwarded-For).
type attempts struct {
	now func() time.Time

	mu    sync.Mutex
	wrong map[string]*rate.Limiter
}

const (
	wrongAtOnce   = 10               // wrong tokens before one must wait
	wrongEvery    = 10 * time.Second // and how long for each further one
	mostAddresses = 10_000           // that are remembered
)

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, wrong: map[string]*rate.Limiter{}}
}

// open reports whether another attempt may be made.
func (a *attempts) open(by string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.wrong[by]
	return l == nil || l.TokensAt(a.now()) >= 1
}

// failed counts an attempt that was wrong.
func (a *attempts) failed(by string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	l := a.wrong[by]
	if l == nil {
		a.forget(now)
		l = rate.NewLimiter(rate.Every(wrongEvery), wrongAtOnce)
		a.wrong[by] = l
	}
	l.AllowN(now, 1)
}

// forget makes room: those who have waited long enough go first, then anybody.
func (a *attempts) forget(now time.Time) {
	if len(a.wrong) < mostAddresses {
		return
	}
	for by, l := range a.wrong {
		if l.TokensAt(now) >= wrongAtOnce {
			delete(a.wrong, by)
		}
	}
	for by := range a.wrong {
		if len(a.wrong) < mostAddresses {
			return
		}
		delete(a.wrong, by)
	}
}

// address is where a call comes from.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
