package admit_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"touchstone.dev/touchstone/internal/kube/admit"
	"touchstone.dev/touchstone/internal/storetest"
)

func TestWhatIsNoReviewIsNotAnswered(t *testing.T) {
	good, path := review("Pod", pod(at(cart, one)))
	f := newFront(t, nil)
	for name, body := range map[string]string{
		"nothing":         "",
		"no JSON":         "<xml/>",
		"cut off":         string(good[:len(good)/2]),
		"another kind":    strings.Replace(string(good), "AdmissionReview", "TokenReview", 1),
		"another version": strings.Replace(string(good), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1),
		"no uid":          strings.Replace(string(good), "u-1", "", 1),
		"no request":      `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`,
		"another shape":   `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":"u-1"}`,
		"more than one":   string(good) + string(good),
	} {
		if status, got := f.post(path, []byte(body)); status != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", name, status, got)
		}
	}
	if status, _ := f.post("/elsewhere", good); status != http.StatusNotFound {
		t.Errorf("status %d for another path", status)
	}
}

func TestAReviewThatIsTooLargeIsRefusedByName(t *testing.T) {
	f := newFront(t, func(c *admit.Config) { c.MaxReview = 10_000 })
	p := pod(at(cart, one))
	p.Annotations = map[string]string{"long": strings.Repeat("x", 10_000)}
	got := f.send("Pod", p)
	if got.Allowed || !strings.Contains(message(got), "the review is too large") {
		t.Errorf("%v: %s", got.Allowed, message(got))
	}
	if status, _ := f.post(admit.PathValidate, bytes.Repeat([]byte("["), 11_000)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}

func TestAReviewOfAMillionPartsTakesNoMemory(t *testing.T) {
	f := newFront(t, nil)
	body, path := review("Pod", pod("IMAGES"))
	many := strings.Repeat("{},", 1_000_000) + "{}"
	body = bytes.Replace(body, []byte(`{"name":"c0","image":"IMAGES","resources":{}}`), []byte(many), 1)
	if len(body) < len(many) {
		t.Fatal("nothing was replaced")
	}
	_, got := f.post(path, body)
	if a := answered(t, got); a.Allowed || !strings.Contains(message(a), "the review is too large") {
		t.Errorf("%v: %s", a.Allowed, message(a))
	}
}

func TestWhatFailsInsideLetsNothingIn(t *testing.T) {
	for name, breakage := range map[string]func(*front){
		"the door":    func(f *front) { f.desk.fails = errDown },
		"the cluster": func(f *front) { f.town.fails = errDown },
		"everything":  func(f *front) { f.desk.rules = nil }, // panics
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, func(c *admit.Config) { c.Reports = func(ns string) bool { return ns == "trial" } })
			breakage(f)
			for _, options := range [][]option{nil, {in("lab")}, {operation("CONNECT"), sub("exec"), func(a *ask) { a.Name = "cart-5f-x" }}} {
				if got := f.send("Pod", pod(at(cart, one)), options...); got.Allowed || !strings.Contains(message(got), "undecided: ") {
					t.Errorf("%v: %s", got.Allowed, message(got))
				}
			}
			if got := f.send("Pod", relabelled(pod(root)), onto(pod(root))); !got.Allowed {
				t.Errorf("what runs cannot be labelled: %s", message(got))
			}
			if name == "the door" && !strings.Contains(message(f.send("Pod", pod(at(cart, one)))), "fix: look at its disk") {
				t.Error("what to do is not told")
			}
			for _, ns := range []string{"kube-system", "touchstone", "trial"} {
				if got := f.send("Pod", pod(at(cart, one)), in(ns)); !got.Allowed || len(got.Warnings) == 0 {
					t.Errorf("%s is locked out: %s", ns, message(got))
				}
			}
		})
	}
}

func TestTheAnswerComesBeforeTheAPIServerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &front{TB: t, desk: newDesk(t), town: newTown()}
		f.desk.stuck = make(chan struct{})
		f.hook = admit.New(admit.Config{Door: f.desk, Road: f.desk, Cluster: f.town, Own: "touchstone", Log: slog.New(slog.DiscardHandler)})
		for timeout, want := range map[string]time.Duration{
			"10s": 9500 * time.Millisecond, "2s": 1500 * time.Millisecond, "600ms": 300 * time.Millisecond,
			"": 9500 * time.Millisecond, "never": 9500 * time.Millisecond, "1000h": 9500 * time.Millisecond,
		} {
			body, path := review("Pod", pod(at(cart, one)))
			start := time.Now()
			_, data := f.post(path+"?timeout="+timeout, body)
			if got := answered(t, data); got.Allowed || !strings.Contains(message(got), "not decided in time") || time.Since(start) != want {
				t.Errorf("timeout %q: %v after %v: %s", timeout, got.Allowed, time.Since(start), message(got))
			}
		}
		close(f.desk.stuck)
		synctest.Wait()
	})
}

func TestNoNameSteersATerminal(t *testing.T) {
	evil := "\x1b[2J\u202eroot\r\n\x00"
	p := pod(at(root, two))
	p.Spec.Containers[0].Name = evil
	p.Name, p.Labels = evil, map[string]string{evil: evil}
	q := pod(evil)
	for _, o := range []*corev1.Pod{p, q} {
		got := newFront(t, nil).send("Pod", o, as(evil))
		if got.Allowed {
			t.Error("let in")
		}
		for _, text := range append(got.Warnings, strings.Split(message(got), "\n")...) {
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || r == '\u202e' }) {
				t.Errorf("%q", text)
			}
		}
	}
}

// FuzzReview holds the webhook to this: whatever is sent, it answers; and what it
// lets in of pods in a place that refuses everything, it let in for a reason that
// is documented.
func FuzzReview(f *testing.F) {
	for _, seed := range [][]byte{
		first(review("Pod", pod(root))), first(review("Pod", pod(cart), mutate)), first(review("Deployment", deployment(root, "x"))),
		first(review("Pod", pod(root), onto(pod(cart)))), first(review("Widget", widget(map[string]any{"a": []any{}}))),
		first(review("Pod", &corev1.PodExecOptions{}, operation("CONNECT"), sub("exec"))),
	} {
		f.Add(seed)
	}
	d, c := newDesk(f), newTown()
	d.images = map[string]image{}
	quiet := slog.New(slog.DiscardHandler)
	hook := admit.New(admit.Config{Door: d, Road: d, Cluster: c, Store: storetest.Open(f), Own: "touchstone", MaxReview: 1 << 20, Log: quiet})
	f.Fuzz(func(t *testing.T, body []byte) {
		front := &front{TB: t, desk: d, town: c, hook: hook}
		front.post(admit.PathMutate, body)
		status, data := front.post(admit.PathValidate, body)
		if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge {
			return
		}
		var sent, said admissionv1.AdmissionReview
		if err := json.Unmarshal(data, &said); status != http.StatusOK || err != nil || said.Response == nil {
			t.Fatalf("status %d, %v: %s", status, err, data)
		}
		if !said.Response.Allowed || json.Unmarshal(body, &sent) != nil || sent.Request == nil {
			return
		}
		r := sent.Request
		var p corev1.Pod
		if r.Operation != admissionv1.Create || r.Resource.Resource != "pods" || r.Resource.Group != "" || r.SubResource != "" || len(said.Response.Warnings) > 0 ||
			json.Unmarshal(r.Object.Raw, &p) != nil || bytes.Contains(bytes.ToLower(body), []byte(`"containers":null`)) {
			return
		}
		if len(p.Spec.Containers)+len(p.Spec.InitContainers) > 0 && canonical(r.Object.Raw) {
			t.Fatalf("let in: %s", body)
		}
	})
}

func first(body []byte, _ string) []byte { return body }

// canonical reports whether an API server could have written the object: with
// the names of fields as they are.
func canonical(raw []byte) bool {
	var o map[string]json.RawMessage
	if json.Unmarshal(raw, &o) != nil {
		return false
	}
	var spec map[string]json.RawMessage
	return json.Unmarshal(o["spec"], &spec) == nil && (spec["containers"] != nil || spec["initContainers"] != nil)
}
