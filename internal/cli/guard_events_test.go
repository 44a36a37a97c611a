package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/kube/install"
)

// What the installer writes is what this program understands.
func TestGuardsAreCalledAsTheyAreInstalled(t *testing.T) {
	objects, err := install.Manifests(install.Options{Image: "registry.example/touchstone:1", Guard: true})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, o := range objects {
		var args []string
		switch o := o.(type) {
		case *appsv1.DaemonSet:
			args = o.Spec.Template.Spec.Containers[0].Args
		case *appsv1.Deployment:
			args = o.Spec.Template.Spec.Containers[0].Args
		default:
			continue
		}
		found++
		p := &program{stdin: strings.NewReader(""), stdout: &console{}, stderr: &console{}, getenv: func(string) string { return "" }, now: time.Now}
		c, rest, err := p.root().Find(args)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ParseFlags(rest); err != nil || c.ValidateArgs(c.Flags().Args()) != nil {
			t.Errorf("touchstone %s: %v", strings.Join(args, " "), err)
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 are there", found)
	}
}

func TestEventsOfGuardsAreShown(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	event := touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: "01JDC9T3Z1V6W0Q4N8R5K7M2XA", At: at, Count: 3, Kind: touchstone.EventRunUnknown, Node: "node1",
		Running:   touchstone.Running{ID: "c1", Namespace: "shop", Pod: "cart-1", Workload: touchstone.Workload{Kind: "Deployment", Name: "cart", Container: "cart"}},
		Execution: &touchstone.Execution{Kind: touchstone.ExecuteProgram, Path: "tmp/\x1b[31mevil\nsecond line"},
		Reason:    touchstone.Reason{Rule: "run-unknown", Allowed: "kill"}, Action: touchstone.EffectKill,
	}
	var asked string
	serve := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "application/json")
		var doc any = api.Page[touchstone.RuntimeEvent]{Items: []touchstone.RuntimeEvent{event}}
		if strings.HasSuffix(r.URL.Path, event.ID) {
			doc = event
		}
		_ = json.NewEncoder(w).Encode(doc)
	}))
	defer serve.Close()
	run := func(args ...string) (int, string, string) {
		var out, errs console
		code := Run(context.Background(), append([]string{"guard", "events", "--server", serve.URL, "--data", t.TempDir()}, args...), strings.NewReader(""), &out, &errs,
			func(name string) string {
				if name == "TOUCHSTONE_TOKEN" {
					return "tst_x_y"
				}
				return ""
			})
		return code, out.String(), errs.String()
	}
	code, out, why := run("--namespace", "shop", "--kind", "run-unknown", "registry.example/shop/cart")
	if code != exitAllowed || !strings.Contains(out, event.ID) || !strings.Contains(out, "shop Deployment cart") || strings.Contains(out, "\x1b") || strings.Count(out, "\n") != 2 {
		t.Errorf("%d %s\n%q", code, why, out)
	}
	if !strings.Contains(asked, "namespace=shop") || !strings.Contains(asked, "kind=run-unknown") || !strings.Contains(asked, "artifact=registry.example%2Fshop%2Fcart") {
		t.Errorf("asked %s", asked)
	}
	code, out, why = run(event.ID)
	if code != exitAllowed || !strings.Contains(out, "shop/cart-1/cart") || strings.Contains(out, "\x1b") {
		t.Errorf("%d %s\n%q", code, why, out)
	}
	if code, _, why := run("--kind", "storm"); code != exitUsage || !strings.Contains(why, "run-unknown") {
		t.Errorf("an unknown kind: %d %s", code, why)
	}
}
