package rehydrate

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAHookIsToldAnOrder(t *testing.T) {
	order := Order{Step: "01STEP", Of: Identity{Namespace: "default", Kind: "Container", Name: "web"}, Why: "its age"}
	want := func(t *testing.T, body []byte) {
		t.Helper()
		var got Order
		if err := json.Unmarshal(body, &got); err != nil || got.Schema != SchemaOrder || got.Step != "01STEP" || got.Of.Name != "web" {
			t.Errorf("%s: %v", body, err)
		}
	}
	t.Run("command", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "told")
		if err := (&Hook{Command: []string{"sh", "-c", "cat > " + file}}).Call(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want(t, body)
		err = (&Hook{Command: []string{"sh", "-c", "echo no room >&2; exit 3"}}).Call(t.Context(), order)
		if err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("%v", err)
		}
	})
	t.Run("address", func(t *testing.T) {
		code := http.StatusAccepted
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body json.RawMessage
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Idempotency-Key") != "01STEP" {
				t.Errorf("%v %v", err, r.Header)
			}
			want(t, body)
			w.WriteHeader(code)
		}))
		defer s.Close()
		if err := (&Hook{URL: s.URL}).Call(t.Context(), order); err != nil {
			t.Error(err)
		}
		code = http.StatusServiceUnavailable
		if err := (&Hook{URL: s.URL}).Call(t.Context(), order); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("%v", err)
		}
	})
}
