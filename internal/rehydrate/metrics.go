package rehydrate

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the controller's. Their labels have few values each, all of our own
// choosing.
type Metrics struct {
	now      func() time.Time
	replaces *prometheus.CounterVec
	ends     *prometheus.CounterVec
	failures prometheus.Counter
	lasts    prometheus.Histogram

	mu       sync.Mutex
	leading  bool
	planned  time.Time
	ages     []float64 // in days, of everything that runs; counts by ageBuckets
	sum      float64
	all      uint64
	held     map[Hold]int
	due      int
	late     int
	underWay int
	rebuild  int
}

// ageBuckets are in days.
func ageBuckets() []float64 { return []float64{1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 180, 365} }

func newMetrics(now func() time.Time) *Metrics {
	return &Metrics{
		now: now, held: map[Hold]int{},
		replaces: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_rehydration_replaced_total", Help: "Workloads that were replaced, by why.",
		}, []string{"why"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_rehydration_unfinished_total", Help: "Replacements that were put back or abandoned.",
		}, []string{"what"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "touchstone_rehydration_errors_total", Help: "Calls that have failed, and are tried again.",
		}),
		lasts: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "touchstone_rehydration_seconds", Help: "How long a replacement took, from its plan until what is new served.",
			Buckets: []float64{5, 15, 30, 60, 120, 300, 600, 1200, 3600},
		}),
	}
}

func (m *Metrics) leads(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading = yes
}

func (m *Metrics) failing(error) { m.failures.Inc() }

func (m *Metrics) replaced(s *Step, took time.Duration) {
	m.replaces.WithLabelValues(string(s.Why)).Inc()
	m.lasts.Observe(took.Seconds())
}

func (m *Metrics) ended(what What) { m.ends.WithLabelValues(string(what)).Inc() }

// measure counts what a plan says.
func (m *Metrics) measure(now time.Time, all []Due) {
	buckets := ageBuckets()
	ages, held := make([]float64, len(buckets)), map[Hold]int{}
	var sum float64
	var known uint64
	due, late, rebuild, underWay := 0, 0, 0, 0
	for i := range all {
		d := &all[i]
		if d.Hold == HoldStep {
			underWay++
		} else if !d.At.IsZero() && !d.At.After(now) {
			due++
			if d.Hold != HoldNone {
				held[d.Hold]++
			}
		}
		if d.Rebuild {
			rebuild++
		}
		w := d.Workload
		if w.Started.IsZero() {
			continue
		}
		if !d.Hard.IsZero() && now.After(d.Hard) {
			late++
		}
		days := now.Sub(w.began(now)).Hours() / 24
		sum, known = sum+days, known+1
		for k, b := range buckets {
			if days <= b {
				ages[k]++
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned, m.ages, m.sum, m.all, m.held, m.due, m.late, m.rebuild, m.underWay = now, ages, sum, known, held, due, late, rebuild, underWay
}

func described(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("touchstone_rehydration_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector: the metrics are described as they are
// collected.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.replaces, m.ends, m.failures, m.lasts} {
		c.Collect(out)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(described(name, help), prometheus.GaugeValue, v)
	}
	leading := 0.0
	if m.leading {
		leading = 1
	}
	gauge("leader", "1 where this is the one that replaces.", leading)
	if m.planned.IsZero() {
		return
	}
	gauge("plan_age_seconds", "Since the last plan.", m.now().Sub(m.planned).Seconds())
	gauge("due", "Workloads that are due and not being replaced.", float64(m.due))
	gauge("overdue", "Workloads past their deadline.", float64(m.late))
	gauge("under_way", "Workloads that are being replaced.", float64(m.underWay))
	gauge("rebuild", "Workloads whose image must be rebuilt first, or is too old.", float64(m.rebuild))
	held := described("held", "Workloads that are due, by what they wait for or what is in the way.", "by")
	for by, n := range m.held {
		out <- prometheus.MustNewConstMetric(held, prometheus.GaugeValue, float64(n), string(by))
	}
	counts := map[float64]uint64{}
	for i, b := range ageBuckets() {
		counts[b] = uint64(m.ages[i])
	}
	out <- prometheus.MustNewConstHistogram(described("age_days", "Ages of what runs."), m.all, m.sum, counts)
}
