package server

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
)

// figures are the server's metrics. Labels have few values each, all of our own
// choosing: environments come from the rules, and nothing from a stranger is one.
type figures struct {
	registry    *prometheus.Registry
	served      http.Handler
	decisions   *prometheus.CounterVec
	admission   prometheus.Histogram
	storeErrors prometheus.Counter
	seen        *prometheus.CounterVec
	length      atomic.Uint64 // of the log, as far as this process knows

	// What costs more than a look is looked up now and then (see measure).
	lapsing, overdue atomic.Int64
	silent           atomic.Int64
	problems         atomic.Int64
	advisories       atomic.Int64 // the age in seconds of the oldest feed; negative without any
}

func newFigures() *figures {
	f := &figures{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_decisions_total", Help: "Decisions that were written down; answers given again from one are touchstone_answers_total.",
		}, []string{"verdict", "occasion", "environment"}),
		admission: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "touchstone_admission_seconds", Help: "How long the webhook took to answer.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "touchstone_store_errors_total", Help: "Writes to the record that have failed.",
		}),
	}
	f.seen = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "touchstone_guard_events_total", Help: "Events of guards that were written down, by what the rules asked for.",
	}, []string{"kind", "action"})
	f.advisories.Store(-1)
	f.served = promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{})
	return f
}

// register puts every metric into the registry.
func (f *figures) register(s *Server) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	all := []prometheus.Collector{
		f.decisions, f.admission, f.storeErrors, f.seen, &doorMetrics{s.door}, &guardMetrics{s.guards},
		gauge("touchstone_guards_silent", "Guards of nodes that are there, which have gone silent.", func() float64 { return float64(f.silent.Load()) }),
		gauge("touchstone_log_entries", "Entries of the log.", func() float64 { return float64(f.length.Load()) }),
		gauge("touchstone_advisories_age_seconds", "Since the oldest feed of advisories was last confirmed current; -1 without any.",
			func() float64 { return float64(f.advisories.Load()) }),
		gauge("touchstone_waivers_lapsing", "Waivers that lapse within a week.", func() float64 { return float64(f.lapsing.Load()) }),
		gauge("touchstone_findings_overdue", "Findings on what runs whose deadline is past.", func() float64 { return float64(f.overdue.Load()) }),
		gauge("touchstone_problems", "What keeps the server from deciding some or all (/readyz says what).", func() float64 { return float64(f.problems.Load()) }),
		gauge("touchstone_certificate_expires_seconds", "When the server's certificate ends, in seconds since 1970.",
			func() float64 { return float64(s.authority.Expires().Unix()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	for _, g := range s.gates {
		all = append(all, g.Metrics...)
	}
	for _, c := range all {
		if err := f.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (f *figures) serve(w http.ResponseWriter, c *call) error {
	f.served.ServeHTTP(w, c.Request)
	return nil
}

// happened counts a decision.
func (f *figures) happened(e *gate.Event) {
	if d := e.Decision; d != nil {
		f.decisions.WithLabelValues(string(d.Verdict), string(d.Occasion), d.Environment).Inc()
	}
}

// admissions measures a webhook.
func (f *figures) admissions(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		defer func() { f.admission.Observe(time.Since(begun).Seconds()) }()
		h.ServeHTTP(w, r)
	})
}

// measure looks up what costs more than a look.
func (s *Server) measure(ctx context.Context) error {
	lapsing, err := s.release.Lapsing(ctx, 7*24*time.Hour)
	if err != nil {
		return err
	}
	s.figures.lapsing.Store(int64(len(lapsing)))
	now, overdue := s.now(), int64(0)
	for after := ""; ; {
		all, next, err := s.door.RunningNow(ctx, gate.RunningQuery{After: after, Limit: mostPage})
		if err != nil {
			return err
		}
		for i := range all {
			for _, found := range all[i].Findings {
				if !found.Deadline.IsZero() && now.After(found.Deadline) {
					overdue++
				}
			}
		}
		if after = next; next == "" {
			break
		}
	}
	s.figures.overdue.Store(overdue)
	return nil
}

// watched is a record with an eye on what is written.
type watched struct {
	record.Store
	figures *figures
}

func (w *watched) Commit(ctx context.Context, changes ...record.Change) ([]record.Entry, error) {
	entries, err := w.Store.Commit(ctx, changes...)
	switch {
	case err == nil && len(entries) > 0:
		last := entries[len(entries)-1].Seq
		for {
			known := w.figures.length.Load()
			if last <= known || w.figures.length.CompareAndSwap(known, last) {
				break
			}
		}
	case err != nil && ctx.Err() == nil && !isConflict(err):
		w.figures.storeErrors.Inc()
	}
	return entries, err
}

// guardMetrics tell when each guard was last heard. The names of nodes are those that
// tokens were made for, or that the cluster has given.
type guardMetrics struct{ guards *guards }

// Describe implements prometheus.Collector: the metrics are described as they are
// collected.
func (*guardMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *guardMetrics) Collect(out chan<- prometheus.Metric) {
	last := desc("guard_last_heard_seconds", "When the guard of a node was last heard, in seconds since 1970.", "node")
	for _, g := range m.guards.list() {
		out <- prometheus.MustNewConstMetric(last, prometheus.GaugeValue, float64(g.Last.UnixMilli())/1000, g.Node)
	}
}

// doorMetrics are the door's own figures, as of one moment.
type doorMetrics struct{ door *gate.Door }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("touchstone_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector: the metrics are described as they are
// collected.
func (*doorMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *doorMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.door.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	scans := desc("scans", "Scans that are not done: waiting, running, and failed of those that wait.", "state")
	send(scans, prometheus.GaugeValue, float64(s.Waiting), "waiting")
	send(scans, prometheus.GaugeValue, float64(s.Running), "running")
	send(scans, prometheus.GaugeValue, float64(s.Failed), "failed")
	send(desc("scans_capacity", "How many scans may wait."), prometheus.GaugeValue, float64(s.Capacity))
	send(desc("scans_oldest_seconds", "How long the scan has waited that somebody has waited for longest."), prometheus.GaugeValue, s.OldestWaiting.Seconds())
	send(desc("scanned_total", "Scans that ended well."), prometheus.CounterValue, float64(s.Scanned))
	send(desc("unresolved_total", "Tags that could not be resolved."), prometheus.CounterValue, float64(s.Unresolved))
	send(desc("running_containers", "Containers that run, as clusters tell."), prometheus.GaugeValue, float64(s.Observed))
	answers := desc("answers_total", "Answers of the door.", "verdict")
	for _, v := range []touchstone.Verdict{touchstone.Allowed, touchstone.Undecided, touchstone.Refused} {
		send(answers, prometheus.CounterValue, float64(s.Decisions[v]), string(v))
	}
}
