package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newHTTP(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestAGateIsAskedOnItsOwnPort makes a gate as a cluster's door is made, and ends
// the server while it is being asked.
func TestAGateIsAskedOnItsOwnPort(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	worked := make(chan struct{})
	var rooms *Rooms
	h := open(t, func(c *Config) {
		c.Gates = []func(*Rooms) (*Gate, error){func(r *Rooms) (*Gate, error) {
			rooms = r
			return &Gate{
				Webhook: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					close(asked)
					<-answer
					fmt.Fprint(w, "refused")
				}),
				Run:      func(ctx context.Context) error { <-ctx.Done(); close(worked); return ctx.Err() },
				Warnings: func(context.Context) []string { return []string{"somebody broke the glass"} },
				Metrics:  []prometheus.Collector{prometheus.NewCounter(prometheus.CounterOpts{Name: "touchstone_glass_total", Help: "Broken."})},
			}, nil
		}}
	})
	if rooms.Door == nil || rooms.Release == nil || rooms.Store == nil || rooms.Cluster != "lab" {
		t.Errorf("%+v", rooms)
	}
	if _, _, warnings := h.ask(t); !strings.Contains(warnings, "glass") {
		t.Errorf("warnings %q", warnings)
	}
	metrics, err := h.admin.Metrics(t.Context())
	check(t, err)
	if !strings.Contains(string(metrics), "touchstone_glass_total 0") {
		t.Error("the gate's metrics are missing")
	}
	if s, _, _ := h.call(t, "GET", "/", "", ""); s != http.StatusNotFound {
		t.Errorf("the webhook answers on the API's port: %d", s)
	}

	bundle, _ := rooms.CABundle()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	cluster := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Time: h.clock.now}, DisableKeepAlives: true}}
	got := make(chan string, 1)
	go func() {
		res, err := cluster.Post("https://"+h.Webhook(), "application/json", nil)
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		data, _ := io.ReadAll(res.Body)
		got <- string(data)
	}()
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- h.stop() }()
	for !h.stopping.Load() {
		time.Sleep(time.Millisecond) // until the end has begun
	}
	select {
	case <-worked:
		t.Error("what is behind the gate ended before the gate has answered")
	case <-ended:
		t.Error("the server ended before the gate has answered")
	case <-time.After(20 * time.Millisecond):
	}
	close(answer)
	if a := <-got; a != "refused" {
		t.Errorf("the cluster was answered %q", a)
	}
	check(t, <-ended)
	<-worked
}

// TestWhatFailsBehindAGateEndsTheServer checks that nothing stands at a door whose
// room has collapsed.
func TestWhatFailsBehindAGateEndsTheServer(t *testing.T) {
	c, _, _ := configure(t, t.TempDir())
	c.Gates = []func(*Rooms) (*Gate, error){func(*Rooms) (*Gate, error) {
		return &Gate{Run: func(context.Context) error { return fmt.Errorf("the cluster is gone") }}, nil
	}}
	s, err := New(t.Context(), c)
	check(t, err)
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the cluster is gone") {
		t.Error(err)
	}
}
