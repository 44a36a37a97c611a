package api

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone/internal/release"
)

func TestAWriteIsTriedAgainWithItsKey(t *testing.T) {
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"promoted":[],"answers":[]}`)
	}))
	defer server.Close()
	c := &Client{Base: server.URL, Token: "t", Pause: time.Millisecond}
	if _, err := c.Promote(t.Context(), release.PromotionAsk{To: "prod"}); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
		t.Errorf("keys of the attempts: %q", keys)
	}
}

func TestWhatTheServerRefusesIsNotTriedAgain(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(Problem{Title: "Forbidden", Status: 403, Detail: "no", Hint: "ask"})
	}))
	defer server.Close()
	_, err := (&Client{Base: server.URL, Pause: time.Millisecond}).Backup(t.Context())
	var p *ProblemError
	if !errors.As(err, &p) || p.Status != 403 || err.Error() != "no\nhint: ask" || calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

func TestAProxysAnswerIsNotTakenForTheServers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := (&Client{Base: server.URL}).Rules(t.Context())
	if err == nil || !strings.Contains(err.Error(), "hint: is --server right") {
		t.Error(err)
	}
}

func TestATokenIsNotSentInTheOpen(t *testing.T) {
	for base, ok := range map[string]bool{
		"http://touchstone.example": false, "https://touchstone.example": true, "http://127.0.0.1:1": true,
		"http://[::1]:1": true, "http://localhost": true, "touchstone.example": false, "ftp://localhost": false, "": false,
	} {
		if err := (&Client{Base: base, Token: "t"}).safe(); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if _, err := (&Client{Base: server.URL, Token: "t"}).WhoAmI(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestPinned(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ready":true}`) }))
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, data, 0o600); err != nil {
		t.Fatal(err)
	}
	carrier, err := Pinned(authority)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Base: server.URL, HTTP: carrier}
	if _, err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	c.HTTP = nil
	if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "own authority") {
		t.Errorf("without the authority: %v", err)
	}
}

func TestAServerThatIsNotReadyIsNoError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"ready":false,"problems":["the disk is full"]}`)
	}))
	defer server.Close()
	got, err := (&Client{Base: server.URL}).Ready(t.Context())
	if diff := cmp.Diff(&Health{Problems: []string{"the disk is full"}}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestAllGoesThroughEveryPage(t *testing.T) {
	var got []int
	for n, err := range All(func(p Paging) (*Page[int], error) {
		switch p.After {
		case "":
			return &Page[int]{Items: []int{1, 2}, Next: "b"}, nil
		case "b":
			return &Page[int]{Items: []int{3}}, nil
		}
		return nil, fmt.Errorf("no page %q", p.After)
	}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEvents(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, ": alive\n\ndata: {\"kind\":\"scan\"}\n\ndata: {\"kind\":\"decision\"}\n\n")
	}))
	defer server.Close()
	var got []string
	for e, err := range (&Client{Base: server.URL}).Events(context.Background()) {
		if err != nil {
			got = append(got, err.Error())
			break
		}
		got = append(got, e.Kind)
	}
	if diff := cmp.Diff([]string{"scan", "decision", "the stream of events broke off: unexpected EOF"}, got); diff != "" {
		t.Error(diff)
	}
}
