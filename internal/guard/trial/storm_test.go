package trial

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// storms is how many unknown programs are executed: few in each run, and as many as
// TOUCHSTONE_STORM says where somebody wants to know.
func storms(t *testing.T, few int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("TOUCHSTONE_STORM"))
	if err != nil {
		return few
	}
	return n
}

// counts are what a storm says of itself.
type counts struct{ ran, refused, killed, other int }

func countsOf(t *testing.T, o outcome) (c counts) {
	t.Helper()
	if _, err := fmt.Sscan(o.Output, &c.ran, &c.refused, &c.killed, &c.other); err != nil {
		t.Fatalf("%s: %v", o, err)
	}
	return c
}

// In a storm none runs, and each is told or counted.
func TestStorm(t *testing.T) {
	n := storms(t, 2000)
	for name, layers := range map[string][]string{"fanotify": {"bpf"}, "bpf": {"fanotify"}, "both": nil} {
		t.Run(name, func(t *testing.T) {
			b := newSmallBox(t)
			g := startGuard(t, strict, without(layers...))
			g.watches(b, touchstone.EffectBlock)
			begun := time.Now()
			c := countsOf(t, b.order(order{Args: []string{"/actor", "storm", "8", strconv.Itoa(n), "/volume/unknown"}, Within: 10 * time.Minute}))
			took := time.Since(begun)
			t.Logf("%d in %s, %.0f a second: %+v", n, took, float64(n)/took.Seconds(), c)
			if c.ran != 0 || c.refused+c.killed != n {
				t.Errorf("%+v, want none to run and all %d to be stopped", c, n)
			}
			g.stop() // what was counted is told
			told := 0
			for _, e := range g.told(ofRun(b, "")) {
				told += e.Count
			}
			if told != n {
				t.Errorf("%d were told or counted, want %d", told, n)
			}
		})
	}
}
