package guard

import (
	"github.com/prometheus/client_golang/prometheus"

	"touchstone.dev/touchstone"
)

// figures are the guard's metrics (Prometheus).
type figures struct {
	registry *prometheus.Registry
	acts     *prometheus.CounterVec
	told     *prometheus.CounterVec
	lost     *prometheus.CounterVec
	disarmed prometheus.Counter
	stop     prometheus.Histogram
	known    prometheus.Histogram
	layers   *prometheus.GaugeVec
	canary   *prometheus.GaugeVec
}

func newFigures() *figures {
	f := &figures{
		registry: prometheus.NewRegistry(),
		acts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_guard_acts_total", Help: "Acts on what runs, by what they are and what was done.",
		}, []string{"kind", "action"}),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_guard_events_total", Help: "Events that were written to the journal.",
		}, []string{"kind"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "touchstone_guard_lost_total", Help: "What was not seen or not kept, by where it was lost. Each is followed by a full check.",
		}, []string{"where"}),
		disarmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "touchstone_guard_disarmed_total", Help: "Containers that were not stopped because too many were.",
		}),
		stop: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "touchstone_guard_stop_seconds", Help: "From the order to stop a container until it had stopped.",
			Buckets: []float64{.01, .025, .05, .1, .2, .5, 1, 2, 5, 10},
		}),
		known: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "touchstone_guard_known_seconds", Help: "From a container's appearance until it was watched with its manifest.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}),
		layers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "touchstone_guard_layer_attached", Help: "1 where the layer of enforcement is in the kernel, as the kernel says.",
		}, []string{"layer"}),
		canary: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "touchstone_guard_canary_stopped", Help: "1 where the layer stopped the last canary, 0 where that ran.",
		}, []string{"layer"}),
	}
	f.registry.MustRegister(f.acts, f.told, f.lost, f.disarmed, f.stop, f.known, f.layers, f.canary)
	return f
}

func (f *figures) act(kind touchstone.RuntimeEventKind, action touchstone.Effect) {
	f.acts.WithLabelValues(string(kind), string(action)).Inc()
}
