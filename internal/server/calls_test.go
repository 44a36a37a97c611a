package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

func TestAnUnseenArtifactIsScannedAndJudgedForThePipeline(t *testing.T) {
	h := open(t, nil)
	host := port(t)
	root, plain := push(t, host, "shop/root:1", ""), push(t, host, "shop/plain:1", "1000")
	dev := h.as(t, "dana", api.Developer)
	listening, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := make(chan api.Event, 100)
	ready := make(chan struct{})
	go func() {
		defer close(events)
		close(ready)
		for e, err := range dev.Events(listening) {
			if err == nil {
				events <- e
			}
		}
	}()
	<-ready
	for h.broker.count() == 0 {
		time.Sleep(time.Millisecond) // until the stream is open
	}

	got, err := dev.Check(t.Context(), api.CheckAsk{Reference: root, Environment: "prod"})
	check(t, err)
	if !got.Scanning || got.RetryAfter == 0 || got.Check != nil {
		t.Fatalf("%+v", got)
	}
	status, _, header := h.call(t, "POST", "/v1/checks", dev.Token, fmt.Sprintf(`{"reference":%q}`, plain))
	if status != http.StatusAccepted || header.Get("Retry-After") == "" {
		t.Errorf("%d %v", status, header)
	}
	h.awaitScans(t, events, 2)

	got, err = dev.Check(t.Context(), api.CheckAsk{Reference: root, Environment: "prod"})
	check(t, err)
	if got.Scanning || got.Check.Verdict() != touchstone.Refused || got.Check.Schema != touchstone.SchemaCheck || got.Check.Artifact.Name != root {
		t.Errorf("%+v", got.Check)
	}
	if w := got.Check.Decision.Reasons[0]; w.Rule != "runs-as-root" {
		t.Errorf("%+v", w)
	}
	got, err = dev.Check(t.Context(), api.CheckAsk{Reference: plain})
	check(t, err)
	if len(got.Check.Road) != 2 || got.Check.Verdict() != touchstone.Allowed || len(got.Check.Layers) != 1 {
		t.Errorf("the whole road: %+v", got.Check)
	}
	got, err = h.as(t, "devs", api.Developer, "dev").Check(t.Context(), api.CheckAsk{Reference: root})
	check(t, err)
	if len(got.Check.Road) != 1 || got.Check.Road[0].Place.Environment != "dev" {
		t.Errorf("the road of a token for dev: %+v", got.Check.Road)
	}
	got, err = dev.Check(t.Context(), api.CheckAsk{Reference: root, Place: "namespace=shop"})
	check(t, err)
	if d := got.Check.Decision; d == nil || d.Place.Owner != "team-shop" || d.Verdict != touchstone.Refused {
		t.Errorf("in a place: %+v", d)
	}

	list, err := dev.Decisions(t.Context(), api.DecisionFilter{Environment: "prod", Verdict: touchstone.Refused}, api.Paging{})
	check(t, err)
	if len(list.Items) == 0 || list.Items[0].Actor != "dana" {
		t.Fatalf("%+v", list)
	}
	for _, one := range list.Items {
		doc, err := dev.Decision(t.Context(), one.ID)
		check(t, err)
		if doc.Decision.Verdict != touchstone.Refused || doc.Schema == "" {
			t.Errorf("%+v", doc)
		}
		again, err := dev.Replay(t.Context(), one.ID)
		check(t, err)
		if !again.Same || again.Again == nil {
			t.Errorf("%+v", again)
		}
	}
	seen, err := dev.Artifacts(t.Context(), "", api.Paging{})
	check(t, err)
	if len(seen.Items) != 2 || seen.Items[0].Evidence == "" {
		t.Errorf("%+v", seen)
	}
	metrics, err := dev.Metrics(t.Context())
	check(t, err)
	if !strings.Contains(string(metrics), "touchstone_scanned_total 2") || !strings.Contains(string(metrics), `touchstone_decisions_total{environment="prod",occasion="check",verdict="refused"}`) {
		t.Errorf("%s", metrics)
	}
	for what, ask := range map[string]api.CheckAsk{
		"no name": {}, "another scheme": {Reference: "dir:/"}, "no environment": {Reference: plain, Environment: "moon"},
		"a place of nothing": {Reference: plain, Place: "moon=1"}, "a platform": {Reference: plain, Platform: "linux/amd64"},
	} {
		if _, err := dev.Check(t.Context(), ask); !status422(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func status422(err error) bool { return status(err, http.StatusUnprocessableEntity) }

func (b *broker) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.listeners)
}

// awaitScans waits until so many scans are done, as the stream of events tells.
func (h *house) awaitScans(t *testing.T, events <-chan api.Event, n int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for n > 0 {
		select {
		case e, more := <-events:
			if !more {
				t.Fatal("the stream has ended")
			}
			if e.Kind == "scan" && e.Scan.State == "done" {
				n--
			}
		case <-limit:
			t.Fatalf("%d scans are not done", n)
		}
	}
}

func TestWhoListensTooSlowlyIsDropped(t *testing.T) {
	b := newBroker()
	slow, quick := b.listen(), b.listen()
	for range mostBehind + 1 {
		b.publish(api.Event{Kind: "scan"})
		<-quick
	}
	n := 0
	for range slow {
		n++
	}
	if n != mostBehind || b.count() != 1 {
		t.Errorf("the slow one got %d, and %d listen", n, b.count())
	}
	b.close()
	if _, more := <-quick; more || b.listen() != nil {
		t.Error("a closed broker is listened to")
	}
	b.leave(quick)
}

func TestAKeyIsHeededOnce(t *testing.T) {
	h := open(t, nil)
	ask := `{"name":"robot","role":"viewer"}`
	var wait sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		wait.Go(func() {
			status, answer, _ := h.call(t, "POST", "/v1/tokens", h.token, ask, "Idempotency-Key", "one")
			answers[i] = fmt.Sprint(status, " ", string(answer))
		})
	}
	wait.Wait()
	for _, a := range answers {
		if a != answers[0] || !strings.HasPrefix(a, "200 ") {
			t.Errorf("%s\n%s", a, answers[0])
		}
	}
	all, err := h.admin.Tokens(t.Context(), api.Paging{})
	check(t, err)
	if len(all.Items) != 2 {
		t.Errorf("%d tokens", len(all.Items))
	}
	var made api.Token
	check(t, json.Unmarshal([]byte(answers[0][4:]), &made))

	if s, a, _ := h.call(t, "POST", "/v1/tokens", h.token, `{"name":"other","role":"viewer"}`, "Idempotency-Key", "one"); s != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d %s", s, a)
	}
	if s, a, _ := h.call(t, "POST", "/v1/backups", h.token, "", "Idempotency-Key", "one"); s != http.StatusUnprocessableEntity {
		t.Errorf("another route: %d %s", s, a)
	}
	other := h.as(t, "alice", api.Admin)
	if s, a, header := h.call(t, "POST", "/v1/tokens", other.Token, ask, "Idempotency-Key", "one"); s != http.StatusOK || header.Get("Idempotency-Replayed") != "" {
		t.Errorf("the same key of somebody else: %d %s", s, a)
	}
	if s, a, header := h.call(t, "POST", "/v1/tokens", h.token, `{"name":""}`, "Idempotency-Key", "bad"); s != http.StatusUnprocessableEntity || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a refusal: %d %s", s, a)
	}
	if s, a, header := h.call(t, "POST", "/v1/tokens", h.token, `{"name":""}`, "Idempotency-Key", "bad"); s != http.StatusUnprocessableEntity || header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a refusal again: %d %s", s, a)
	}
	if s, _, _ := h.call(t, "POST", "/v1/tokens", h.token, ask, "Idempotency-Key", strings.Repeat("k", 257)); s != http.StatusBadRequest {
		t.Errorf("a long key: %d", s)
	}

	h.clock.pass(onceLife)
	check(t, h.forgetDone(t.Context()))
	for f, err := range h.store.Facts(t.Context(), record.FactQuery{Kind: kindOnce}) {
		t.Errorf("%s is kept after a day %v", f.Key, err)
	}
	if s, _, header := h.call(t, "POST", "/v1/tokens", h.token, ask, "Idempotency-Key", "one"); s != http.StatusOK || header.Get("Idempotency-Replayed") != "" {
		t.Errorf("after a day: %d", s)
	}
	check(t, h.stop())
	secret := made.Secret[len(made.Secret)-52:]
	for _, name := range []string{recordFile, recordFile + "-wal"} {
		data, _ := os.ReadFile(filepath.Join(h.config.Data, name))
		if strings.Contains(string(data), secret) {
			t.Errorf("%s holds a secret that was told once", name)
		}
	}
}

func TestACallThatDiedIsNotDoneAgain(t *testing.T) {
	h := open(t, nil)
	ask := `{"name":"robot","role":"viewer"}`
	before := done{Method: "POST", Path: "/v1/tokens", Body: strings.TrimPrefix(string(touchstone.DigestOf([]byte(ask))), "sha256:"), At: noon}
	id, _, _ := splitToken(h.token)
	f, err := record.Put(kindOnce, id+" "+strings.TrimPrefix(string(touchstone.DigestOf([]byte("one"))), "sha256:"), before)
	check(t, err)
	_, err = h.store.Commit(t.Context(), record.Change{Kind: kindOnce, Actor: "admin", Body: []byte("{}"), Facts: []record.Fact{f}})
	check(t, err)
	if s, a, _ := h.call(t, "POST", "/v1/tokens", h.token, ask, "Idempotency-Key", "one"); s != http.StatusConflict {
		t.Errorf("%d %s", s, a)
	}
}

func TestListsComeInPages(t *testing.T) {
	h := open(t, nil)
	for n := range 7 {
		_, err := h.admin.Freeze(t.Context(), touchstone.Freeze{Environments: []string{"prod"}, Until: noon.Add(time.Hour), Reason: fmt.Sprint("reason ", n)})
		check(t, err)
	}
	whole, err := h.admin.Log(t.Context(), "", "", api.Paging{Limit: 1000})
	check(t, err)
	var parts []api.Entry
	for e, err := range api.All(func(p api.Paging) (*api.Page[api.Entry], error) {
		p.Limit = 2
		return h.admin.Log(t.Context(), "", "", p)
	}) {
		check(t, err)
		parts = append(parts, e)
	}
	if diff := cmp.Diff(whole.Items, parts[:min(len(parts), len(whole.Items))]); diff != "" {
		t.Errorf("in pages %d entries, whole %d\n%s", len(parts), len(whole.Items), diff)
	}
	last, err := h.admin.NewestLog(t.Context(), "", "", api.Paging{Limit: 2})
	check(t, err)
	before, err := h.admin.NewestLog(t.Context(), "", "", api.Paging{Limit: 1, After: last.Next})
	check(t, err)
	if a, b, c := last.Items[0].Seq, last.Items[1].Seq, before.Items[0].Seq; b != a-1 || c != a-2 {
		t.Errorf("the newest are %d, %d, then %d", a, b, c)
	}
	tokens := 0
	for _, err := range api.All(func(api.Paging) (*api.Page[api.Token], error) {
		return h.admin.Tokens(t.Context(), api.Paging{Limit: 1})
	}) {
		check(t, err)
		tokens++
	}
	freezes := 0
	for _, err := range api.All(func(p api.Paging) (*api.Page[touchstone.Freeze], error) {
		p.Limit = 3
		return h.admin.Freezes(t.Context(), p)
	}) {
		check(t, err)
		freezes++
	}
	if tokens != 1 || freezes != 7 {
		t.Errorf("%d tokens, %d freezes", tokens, freezes)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1", "after=" + strings.Repeat("a", 3000), "after=x", "order=oldest"} {
		if s, a, _ := h.call(t, "GET", "/v1/log?"+query, h.token, ""); s != http.StatusBadRequest {
			t.Errorf("%.20s: %d %s", query, s, a)
		}
	}
}

func TestWhatIsHostileIsRefusedClearly(t *testing.T) {
	h := open(t, nil)
	big := `{"reference":"` + strings.Repeat("a", mostBody) + `"}`
	for what, one := range map[string]struct {
		method, path, body string
		want               int
		header             []string
	}{
		"too large":          {"POST", "/v1/checks", big, http.StatusRequestEntityTooLarge, nil},
		"too large and once": {"POST", "/v1/freezes", big, http.StatusRequestEntityTooLarge, []string{"Idempotency-Key", "k"}},
		"not JSON":           {"POST", "/v1/checks", "{", http.StatusBadRequest, nil},
		"two documents":      {"POST", "/v1/checks", "{}{}", http.StatusBadRequest, nil},
		"an unknown field":   {"POST", "/v1/checks", `{"image":"a"}`, http.StatusBadRequest, nil},
		"a form":             {"POST", "/v1/checks", "a=b", http.StatusUnsupportedMediaType, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"nesting":            {"POST", "/v1/checks", strings.Repeat(`{"settings":`, 20_000), http.StatusBadRequest, nil},
		"another method":     {"DELETE", "/v1/tokens", "", http.StatusMethodNotAllowed, nil},
		"nowhere":            {"GET", "/v1/nowhere", "", http.StatusNotFound, nil},
		"a way out":          {"GET", "/v1/decisions/..%2f..%2fetc%2fpasswd", "", http.StatusNotFound, nil},
		"a strange id":       {"GET", "/v1/requests/%00%1b%5b2J", "", http.StatusNotFound, nil},
		"no number":          {"POST", "/v1/simulations", `{"advisories":true,"last":-1}`, http.StatusUnprocessableEntity, nil},
		"two trials":         {"POST", "/v1/simulations", `{"advisories":true,"rules":"x"}`, http.StatusUnprocessableEntity, nil},
		"rules that are not": {"POST", "/v1/simulations", `{"rules":"rules: ["}`, http.StatusUnprocessableEntity, nil},
		"a promotion asked":  {"POST", "/v1/requests", `{"kind":"promotion"}`, http.StatusUnprocessableEntity, nil},
		"promoting a file":   {"POST", "/v1/promotions", `{"artifacts":["dir:/"],"to":"prod"}`, http.StatusUnprocessableEntity, nil},
		"a label":            {"GET", "/v1/where?namespace=a&label=b", "", http.StatusBadRequest, nil},
	} {
		status, answer, header := h.call(t, one.method, one.path, h.token, one.body, one.header...)
		var p api.Problem
		if err := json.Unmarshal(answer, &p); err != nil || status != one.want || p.Status != one.want || p.Detail == "" || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, want %d: %.300s", what, status, one.want, answer)
		}
	}
	if v, err := h.admin.VerifyLog(t.Context(), "not a note"); err != nil || v.OK {
		t.Errorf("a checkpoint that is none: %+v %v", v, err)
	}
}

// TestStateIsNeverAskedOfTheCaller checks that a request cannot bring its own
// approvals.
func TestStateIsNeverAskedOfTheCaller(t *testing.T) {
	h := open(t, nil)
	dev := h.as(t, "dana", api.Developer)
	got, err := dev.Ask(t.Context(), release.Request{
		ID: "mine", Kind: release.KindWaiver, State: release.Granted, By: release.Person{Name: "alice"},
		Approvals: []touchstone.Approval{{By: "alice", At: noon}},
		Waiver: &touchstone.Waiver{
			Rule: "runs-as-root", Artifact: "shop/*", WholeRule: true, Environments: []string{"prod"}, Owner: "dana", Reason: "port 80", Until: noon.Add(time.Hour), ApprovedBy: "alice",
		},
	})
	check(t, err)
	if got.State != release.Open || got.By.Name != "dana" || len(got.Approvals) > 0 || got.ID == "mine" {
		t.Errorf("%+v", got)
	}
	alice := h.as(t, "alice", api.Approver)
	if _, err := h.as(t, "dana", api.Approver).Approve(t.Context(), got.ID, "mine"); !status(err, http.StatusForbidden) {
		t.Errorf("one's own: %v", err)
	}
	got, err = alice.Approve(t.Context(), got.ID, "fine")
	check(t, err)
	waivers, err := dev.Waivers(t.Context(), api.Paging{})
	check(t, err)
	if got.State != release.Granted || len(waivers.Items) != 1 || waivers.Items[0].ApprovedBy != "alice" {
		t.Errorf("%+v %+v", got, waivers)
	}
	if _, err := alice.Approve(t.Context(), got.ID, "again"); !status(err, http.StatusConflict) {
		t.Errorf("twice: %v", err)
	}
	check(t, alice.RevokeWaiver(t.Context(), waivers.Items[0].ID, "mended"))
	if waivers, err = dev.Waivers(t.Context(), api.Paging{}); err != nil || len(waivers.Items) > 0 {
		t.Errorf("%+v %v", waivers, err)
	}
}

func TestWhoLooksBackWaitsForOthersWhoDo(t *testing.T) {
	h := open(t, nil)
	for range mostHeavy {
		h.heavy <- struct{}{}
	}
	if s, a, header := h.call(t, "POST", "/v1/log/verify", h.token, "{}"); s != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
		t.Errorf("%d %s", s, a)
	}
	<-h.heavy
	if v, err := h.admin.VerifyLog(t.Context(), ""); err != nil || !v.OK || len(h.heavy) != mostHeavy-1 {
		t.Error(v, err)
	}
}

func TestACrashIsNeverAnAnswer(t *testing.T) {
	h := open(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("/early", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"check":`)
		panic("boom")
	})
	server := httptest.NewServer(h.outermost(mux))
	defer server.Close()
	res, err := http.Get(server.URL + "/early")
	check(t, err)
	defer res.Body.Close()
	var p api.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != http.StatusInternalServerError || strings.Contains(p.Detail, "boom") {
		t.Errorf("%+v %v", p, err)
	}
	if res, err := http.Get(server.URL + "/late"); err == nil {
		defer res.Body.Close()
		if _, err := res.Body.Read(make([]byte, 100)); err == nil {
			_, err = res.Body.Read(make([]byte, 100))
			if err == nil || err.Error() == "EOF" {
				t.Error("half an answer looks whole")
			}
		}
	}
}

func TestAFileOfWaiversIsAskedForWholeOrNotAtAll(t *testing.T) {
	h := open(t, nil)
	dev := h.as(t, "dana", api.Developer)
	file := func(rules ...string) api.WaiverFile {
		text := ""
		for _, rule := range rules {
			text += "- {id: " + rule + ", rule: " + rule + ", artifact: shop/cart, whole-rule: true, owner: dana, reason: port 80, until: " + noon.AddDate(0, 0, 3).Format(time.DateOnly) + "}\n"
		}
		return api.WaiverFile{Name: "mine.yaml", Text: text}
	}
	_, err := dev.ImportWaivers(t.Context(), file("runs-as-root", "nonsense"))
	if err == nil || !strings.Contains(err.Error(), "mine.yaml:2:") {
		t.Errorf("a faulty file: %v", err)
	}
	open, err := dev.Requests(t.Context(), "", "", api.Paging{})
	check(t, err)
	if len(open.Items) > 0 {
		t.Errorf("half a file was asked for: %+v", open.Items)
	}
	got, err := dev.ImportWaivers(t.Context(), file("runs-as-root"))
	check(t, err)
	if len(got.Requests) != 1 || got.Requests[0].By.Name != "dana" {
		t.Fatalf("%+v", got)
	}
	if _, err := h.as(t, "devs", api.Developer, "dev").ImportWaivers(t.Context(), file("runs-as-root")); err == nil {
		t.Error("a token for one environment has imported for all")
	}
}
