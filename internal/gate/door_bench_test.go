package gate_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"touchstone.dev/touchstone"
)

// BenchmarkAsk is the path of an admission: a digest that is known, in a workload
// where it runs, written down.
func BenchmarkAsk(b *testing.B) {
	h := newHouse(b, nil)
	h.run(b)
	digest := h.port.push(b, "shop/cart:1", build(b, "", debian(b, "3.0.2-1")))
	r := h.pod("shop/cart@"+string(digest), "prod")
	h.ask(b, r)
	h.scanned(b, 1)
	h.ask(b, r)
	for _, waiting := range []int{0, 10_000} {
		for i := range waiting {
			other := h.pod("shop/cart@sha256:"+strings.Repeat("0", 58)+strconv.Itoa(100_000+i), "prod")
			other.Question.Place.Namespace = "shop-" + strconv.Itoa(i%10)
			h.ask(b, other)
		}
		b.Run(strconv.Itoa(waiting)+"Waiting", func(b *testing.B) {
			b.SetParallelism(100)
			b.ReportAllocs()
			var refused atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a, err := h.Ask(b.Context(), r)
					if err != nil || a.Decision.Verdict != touchstone.Allowed {
						refused.Add(1)
					}
				}
			})
			if n := refused.Load(); n > 0 {
				b.Errorf("%d were not let in", n)
			}
		})
	}
}
