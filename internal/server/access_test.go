package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/release"
)

// contract holds answers against what the OpenAPI document says of them.
type contract struct {
	compiler *jsonschema.Compiler
	doc      map[string]any
}

func newContract(t *testing.T, served []byte) *contract {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(served))
	check(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	check(t, c.AddResource("contract.json", doc))
	return &contract{c, doc.(map[string]any)}
}

// holds checks an answer of a route.
func (c *contract) holds(t *testing.T, route *api.Route, status int, kind string, answer []byte) {
	t.Helper()
	media, _, _ := strings.Cut(kind, ";")
	if media != "application/json" && media != "application/problem+json" {
		return
	}
	operation := c.doc["paths"].(map[string]any)[route.Path].(map[string]any)[strings.ToLower(route.Method)].(map[string]any)
	responses := operation["responses"].(map[string]any)
	under := fmt.Sprint(status)
	if responses[under] == nil {
		under = "default"
	}
	content, ok := responses[under].(map[string]any)["content"].(map[string]any)[media]
	if !ok {
		t.Errorf("%s %s answers %d as %s, which the contract does not know", route.Method, route.Path, status, media)
		return
	}
	ref, ok := content.(map[string]any)["schema"].(map[string]any)["$ref"].(string)
	if !ok {
		return
	}
	schema, err := c.compiler.Compile("contract.json" + ref)
	check(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	check(t, err)
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%s %s: %v\n%s", route.Method, route.Path, err, answer)
	}
}

// body is a request that a route understands.
func body(route *api.Route) string {
	switch {
	case route.Request == nil:
		return ""
	case route.Path == "/v1/tokens":
		return `{"name":"somebody","role":"viewer"}`
	}
	data, err := json.Marshal(route.Request)
	if err != nil {
		return "{}"
	}
	return string(data)
}

// TestEveryRouteAsksForItsRole calls every route with every role, with none and
// with tokens that do not hold.
func TestEveryRouteAsksForItsRole(t *testing.T) {
	h := open(t, nil)
	expired, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "gone", Role: api.Admin, Expires: noon.Add(time.Second)})
	check(t, err)
	revoked, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "out", Role: api.Admin})
	check(t, err)
	check(t, h.admin.RevokeToken(t.Context(), revoked.ID, "left"))
	h.clock.pass(2 * time.Second)
	status, served, _ := h.call(t, "GET", "/openapi.json", "", "")
	if status != http.StatusOK || !bytes.Equal(served, api.OpenAPI()) {
		t.Fatalf("the contract: %d", status)
	}
	contract := newContract(t, served)

	tokens := map[api.Role]string{}
	for _, role := range api.Roles() {
		tokens[role] = h.as(t, string(role), role).Token
	}
	guard, err := h.admin.MakeToken(t.Context(), api.TokenAsk{Name: "node1's guard", Role: api.Guard, Node: "node1"})
	check(t, err)
	none := map[string]string{
		"no token": "", "one that is not ours": "secret", "an unknown id": "tst_01J0000000000000000000000_abc",
		"a wrong secret": h.token[:len(h.token)-4] + "aaaa", "an expired one": expired.Secret, "a revoked one": revoked.Secret,
	}
	for _, route := range api.Routes() {
		path := strings.NewReplacer("{id}", "01J00000000000000000000000", "{namespace}", "shop", "{config}", "sha256:"+strings.Repeat("a", 64)).Replace(route.Path)
		call := func(what, token string) int {
			if route.Stream && token != "" && tokens[api.Viewer] == token {
				return http.StatusOK // TestEvents listens
			}
			if route.Stream && slices.Contains([]string{tokens[api.Developer], tokens[api.Approver], tokens[api.Admin]}, token) {
				return http.StatusOK
			}
			h.attempts = newAttempts(h.clock.now) // their own test has the limit
			status, answer, header := h.call(t, route.Method, path, token, body(&route))
			if status >= 500 {
				t.Errorf("%s %s with %s: %d %s", route.Method, path, what, status, answer)
			}
			if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s with %s: headers %v", route.Method, path, what, header)
			}
			contract.holds(t, &route, status, header.Get("Content-Type"), answer)
			return status
		}
		for what, token := range none {
			if status := call(what, token); (status == http.StatusUnauthorized) != (route.Role != "") {
				t.Errorf("%s %s with %s: %d", route.Method, path, what, status)
			}
		}
		for i, role := range api.Roles() {
			status := call(string(role), tokens[role])
			may := i >= slices.Index(api.Roles(), route.Role) && route.Role != api.Guard
			if status == http.StatusUnauthorized || (status == http.StatusForbidden) == may {
				t.Errorf("%s %s as %s: %d, and the least is %q", route.Method, path, role, status, route.Role)
			}
		}
		if status := call("guard", guard.Secret); (status == http.StatusForbidden) == (route.Role == api.Guard || route.Role == "") {
			t.Errorf("%s %s as a guard: %d, and the least is %q", route.Method, path, status, route.Role)
		}
	}
}

func TestATokenReachesItsEnvironmentsAlone(t *testing.T) {
	h := open(t, nil)
	waiver := func(environments ...string) release.Request {
		return release.Request{Kind: release.KindWaiver, Waiver: &touchstone.Waiver{
			Rule: "runs-as-root", Artifact: "shop/*", WholeRule: true, Environments: environments, Owner: "dana", Reason: "port 80", Until: noon.Add(time.Hour),
		}}
	}
	whole := h.as(t, "dana", api.Developer)
	prod, err := whole.Ask(t.Context(), waiver("prod"))
	check(t, err)
	dev, err := whole.Ask(t.Context(), waiver("dev"))
	check(t, err)
	frozen, err := h.admin.Freeze(t.Context(), touchstone.Freeze{Environments: []string{"prod"}, Until: noon.Add(time.Hour), Reason: "audit"})
	check(t, err)

	c := h.as(t, "devs", api.Admin, "dev")
	ctx := t.Context()
	for what, try := range map[string]func() error{
		"check in prod": func() error {
			_, err := c.Check(ctx, api.CheckAsk{Reference: "a.example/b", Environment: "prod"})
			return err
		},
		"check in a prod place": func() error {
			_, err := c.Check(ctx, api.CheckAsk{Reference: "a.example/b", Place: "namespace=shop"})
			return err
		},
		"promote to prod": func() error {
			_, err := c.Promote(ctx, release.PromotionAsk{Artifacts: []string{"a.example/b"}, To: "prod"})
			return err
		},
		"ask for prod":         func() error { _, err := c.Ask(ctx, waiver("prod")); return err },
		"ask for everything":   func() error { _, err := c.Ask(ctx, waiver()); return err },
		"ask for dev and prod": func() error { _, err := c.Ask(ctx, waiver("dev", "prod")); return err },
		"rules": func() error {
			_, err := c.Ask(ctx, release.Request{Kind: release.KindRules, Rules: &release.RulesAsk{Source: table}})
			return err
		},
		"approve in prod": func() error { _, err := c.Approve(ctx, prod.ID, ""); return err },
		"reject in prod":  func() error { _, err := c.Reject(ctx, prod.ID, "no"); return err },
		"freeze prod": func() error {
			_, err := c.Freeze(ctx, touchstone.Freeze{Environments: []string{"prod"}, Until: noon.Add(time.Hour), Reason: "x"})
			return err
		},
		"freeze everything": func() error {
			_, err := c.Freeze(ctx, touchstone.Freeze{Until: noon.Add(time.Hour), Reason: "x"})
			return err
		},
		"thaw prod":              func() error { return c.Thaw(ctx, frozen.ID, "x") },
		"switch a prod place":    func() error { _, err := c.SetMode(ctx, "shop", api.ModeAsk{Enforce: true}); return err },
		"a token for everything": func() error { _, err := c.MakeToken(ctx, api.TokenAsk{Name: "x", Role: api.Viewer}); return err },
		"a token for prod": func() error {
			_, err := c.MakeToken(ctx, api.TokenAsk{Name: "x", Role: api.Viewer, Scope: []string{"prod"}})
			return err
		},
		"end a whole token": func() error { return c.RevokeToken(ctx, strings.Split(whole.Token, "_")[1], "x") },
		"backup":            func() error { _, err := c.Backup(ctx); return err },
	} {
		if err := try(); !status(err, http.StatusForbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Approve(ctx, dev.ID, "fine"); err != nil {
		t.Error("approve in dev:", err)
	}
	if _, err := c.MakeToken(ctx, api.TokenAsk{Name: "x", Role: api.Viewer, Scope: []string{"dev"}}); err != nil {
		t.Error("a token for dev:", err)
	}
	if _, err := c.Decisions(ctx, api.DecisionFilter{Environment: "prod"}, api.Paging{}); err != nil {
		t.Error("reading:", err)
	}
}

func status(err error, want int) bool {
	var p *api.ProblemError
	return errors.As(err, &p) && p.Status == want
}

func TestTheLifeOfAToken(t *testing.T) {
	h := open(t, nil)
	ctx := t.Context()
	for what, ask := range map[string]api.TokenAsk{
		"no name":        {Role: api.Viewer},
		"no role":        {Name: "a"},
		"another role":   {Name: "a", Role: "root"},
		"past":           {Name: "a", Role: api.Viewer, Expires: noon.Add(-time.Hour)},
		"too long":       {Name: "a", Role: api.Viewer, Expires: noon.AddDate(2, 0, 0)},
		"a cluster's":    {Name: "system:admin", Role: api.Viewer},
		"an empty scope": {Name: "a", Role: api.Viewer, Scope: []string{""}},
	} {
		if _, err := h.admin.MakeToken(ctx, ask); !status(err, http.StatusUnprocessableEntity) {
			t.Errorf("%s: %v", what, err)
		}
	}
	made, err := h.admin.MakeToken(ctx, api.TokenAsk{Name: "dana", Role: api.Viewer})
	check(t, err)
	if want := noon.Add(tokenLife); !made.Expires.Equal(want) {
		t.Errorf("it expires at %s, want %s", made.Expires, want)
	}
	all, err := h.admin.Tokens(ctx, api.Paging{})
	check(t, err)
	if len(all.Items) != 2 || all.Items[0].Secret+all.Items[1].Secret != "" {
		t.Errorf("%+v", all)
	}
	dana := h.client(t, made.Secret)
	_, err = dana.WhoAmI(ctx)
	check(t, err)

	// The last that can make others stays, and an expired or scoped one is no other.
	first := strings.Split(h.token, "_")[1]
	h.as(t, "scoped", api.Admin, "dev")
	short, err := h.admin.MakeToken(ctx, api.TokenAsk{Name: "short", Role: api.Admin, Expires: noon.Add(time.Minute)})
	check(t, err)
	h.clock.pass(time.Hour)
	if _, err := h.client(t, short.Secret).WhoAmI(ctx); !status(err, http.StatusUnauthorized) {
		t.Errorf("an expired token: %v", err)
	}
	if err := h.admin.RevokeToken(ctx, first, "tidy"); !status(err, http.StatusConflict) {
		t.Errorf("the last token that can make others: %v", err)
	}
	other := h.as(t, "alice", api.Admin)
	check(t, other.RevokeToken(ctx, first, "moved to people"))
	check(t, other.RevokeToken(ctx, first, "twice is once"))
	if _, err := h.admin.WhoAmI(ctx); !status(err, http.StatusUnauthorized) {
		t.Errorf("a revoked token: %v", err)
	}
	h.admin = other
	said := ""
	for e, err := range api.All(func(p api.Paging) (*api.Page[api.Entry], error) { return other.Log(ctx, kindToken, "", p) }) {
		check(t, err)
		said += e.Actor + " " + string(e.Document) + "\n"
	}
	if !strings.Contains(said, "alice") || !strings.Contains(said, "moved to people") || strings.Contains(said, hashSecret(made.Secret[len(made.Secret)-52:])) {
		t.Errorf("the log says\n%s", said)
	}
	h.clock.pass(tokenLife)
	if _, err := dana.WhoAmI(ctx); !status(err, http.StatusUnauthorized) {
		t.Errorf("after 90 days: %v", err)
	}
}

func TestWhoGuessesMustWait(t *testing.T) {
	h := open(t, nil)
	good := h.as(t, "dana", api.Viewer).Token
	guess := func(token string) int { s, _, _ := h.call(t, "GET", "/v1/whoami", token, ""); return s }
	for n := range wrongAtOnce {
		if s := guess(fmt.Sprintf("tst_unknown%d_abc", n)); s != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", n, s)
		}
	}
	if s := guess("tst_another_abc"); s != http.StatusTooManyRequests {
		t.Errorf("one guess more: %d", s)
	}
	if s := guess(good); s != http.StatusOK {
		t.Errorf("a good token from the same address: %d", s)
	}
	for range wrongAtOnce {
		guess(good + "x")
	}
	if s := guess(good); s != http.StatusTooManyRequests {
		t.Errorf("the token whose secret is being guessed: %d", s)
	}
	if _, err := h.admin.WhoAmI(t.Context()); err != nil {
		t.Error("another token:", err)
	}
	h.clock.pass(wrongEvery)
	if s := guess(good); s != http.StatusOK {
		t.Errorf("after a while: %d", s)
	}
	for n := range mostAddresses + 10 {
		h.attempts.failed(fmt.Sprint(n))
	}
	if n := len(h.attempts.wrong); n > mostAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
}
