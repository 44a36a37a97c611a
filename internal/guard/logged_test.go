package guard

import (
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/session"
)

// A login that is over before its container is stopped is told with both: an event
// that says less than one before it is taken for old where it is sent to.
func TestWhatIsToldOfALoginOnlyGrows(t *testing.T) {
	const id = 7
	for name, endsFirst := range map[string]bool{"it ends first": true, "the container is stopped first": false} {
		t.Run(name, func(t *testing.T) {
			g := &Guard{logins: logins{told: map[uint64]*toldLogin{}}}
			e := touchstone.RuntimeEvent{ID: "x", Login: &touchstone.Login{}, Steps: []touchstone.Step{{Do: touchstone.DeedKilled}}}
			g.remember(id, &e, true)
			g.joined(map[string]touchstone.Login{"x": {By: "ann", Admitted: "y"}})
			end := session.Session{ID: id, Kind: touchstone.LoginExec, Ended: time.Now(), Tree: []touchstone.Process{{PID: 1}}}
			var last *touchstone.RuntimeEvent
			if endsFirst {
				if early := g.over(&end); early != nil {
					t.Errorf("it is told without the container's end: %+v", early)
				}
			}
			e.Steps = append(e.Steps, touchstone.Step{Do: touchstone.DeedStopped})
			g.settled(id, &e)
			if last = &e; !endsFirst {
				if !e.Login.Ended.IsZero() {
					t.Errorf("it has not ended: %+v", e.Login)
				}
				last = g.over(&end)
			}
			if last == nil || len(last.Steps) != 2 || !last.Login.Ended.Equal(end.Ended) || len(last.Tree) != 1 || last.Login.By != "ann" {
				t.Errorf("told last is %+v of %+v", last, last.Login)
			}
			if again := g.over(&end); again != nil || len(g.logins.told) > 0 {
				t.Errorf("there is more to tell: %+v", again)
			}
		})
	}
}
