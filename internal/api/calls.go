package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

// Paging selects a part of a list.
type Paging struct {
	After string // Page.Next of the part before; empty for the first
	Limit int    // 100 when zero, 1,000 at most
}

func (p Paging) values(pairs ...string) url.Values {
	v := url.Values{}
	if p.After != "" {
		v.Set("after", p.After)
	}
	if p.Limit > 0 {
		v.Set("limit", strconv.Itoa(p.Limit))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// All goes through a whole list, page by page:
//
//	for d, err := range api.All(func(p api.Paging) (*api.Page[api.Decision], error) {
//		return client.Decisions(ctx, api.DecisionFilter{Environment: "prod"}, p)
//	}) { … }
func All[T any](page func(Paging) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := (Paging{}); ; {
			p, err := page(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Items {
				if !yield(item, nil) {
					return
				}
			}
			if p.Next == "" || p.Next == at.After {
				return
			}
			at.After = p.Next
		}
	}
}

// get and post make a call whose answer is a T.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	return with[T](ctx, c, call{method: http.MethodGet, path: path, query: query})
}

func post[T any](ctx context.Context, c *Client, path string, body any) (*T, error) {
	return with[T](ctx, c, call{method: http.MethodPost, path: path, body: body})
}

func with[T any](ctx context.Context, c *Client, what call) (*T, error) {
	into := new(T)
	what.into = into
	if err := c.do(ctx, what); err != nil {
		return nil, err
	}
	return into, nil
}

func (c *Client) tell(ctx context.Context, path, reason string) error {
	return c.do(ctx, call{method: http.MethodPost, path: path, body: Remark{reason}})
}

// Alive asks whether the process lives.
func (c *Client) Alive(ctx context.Context) (*Health, error) {
	return get[Health](ctx, c, "/healthz", nil)
}

// Ready asks whether the server can decide; one that cannot is no error.
func (c *Client) Ready(ctx context.Context) (*Health, error) {
	return with[Health](ctx, c, call{method: http.MethodGet, path: "/readyz", also: http.StatusServiceUnavailable})
}

// OpenAPI returns the server's contract.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	var data []byte
	err := c.do(ctx, call{method: http.MethodGet, path: "/openapi.json", into: &data})
	return data, err
}

// Metrics returns the server's metrics as Prometheus reads them.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	var data []byte
	err := c.do(ctx, call{method: http.MethodGet, path: "/metrics", into: &data})
	return data, err
}

// Check asks whether an artifact may run somewhere. While the answer says
// Scanning there is no verdict yet.
func (c *Client) Check(ctx context.Context, ask CheckAsk) (*CheckAnswer, error) {
	return post[CheckAnswer](ctx, c, "/v1/checks", ask)
}

// Artifacts lists those that were seen; name is a repository, or empty for all.
func (c *Client) Artifacts(ctx context.Context, name string, p Paging) (*Page[Artifact], error) {
	return get[Page[Artifact]](ctx, c, "/v1/artifacts", p.values("name", name))
}

// Scans lists those that wait, run or have failed.
func (c *Client) Scans(ctx context.Context, p Paging) (*Page[Scan], error) {
	return get[Page[Scan]](ctx, c, "/v1/scans", p.values())
}

// Running lists what runs; namespace and owner may be empty.
func (c *Client) Running(ctx context.Context, namespace, owner string, p Paging) (*Page[Workload], error) {
	return get[Page[Workload]](ctx, c, "/v1/running", p.values("namespace", namespace, "owner", owner))
}

// Where tells the place that a namespace with these labels is.
func (c *Client) Where(ctx context.Context, cluster, namespace string, labels map[string]string) (*Where, error) {
	v := Paging{}.values("cluster", cluster, "namespace", namespace)
	for name, value := range labels {
		v.Add("label", name+"="+value)
	}
	return get[Where](ctx, c, "/v1/where", v)
}

// DecisionFilter selects decisions; empty fields select nothing.
type DecisionFilter struct {
	Artifact    string // a repository, a digest, or "repository@digest"
	Environment string
	Namespace   string
	Verdict     touchstone.Verdict
}

// Decisions lists decisions, the newest first.
func (c *Client) Decisions(ctx context.Context, f DecisionFilter, p Paging) (*Page[Decision], error) {
	return get[Page[Decision]](ctx, c, "/v1/decisions", p.values("artifact", f.Artifact,
		"environment", f.Environment, "namespace", f.Namespace, "verdict", string(f.Verdict)))
}

// Decision returns one decision with its reasons and inputs.
func (c *Client) Decision(ctx context.Context, id string) (*DecisionDocument, error) {
	return get[DecisionDocument](ctx, c, "/v1/decisions/"+url.PathEscape(id), nil)
}

// Replay decides again from what a decision was taken on.
func (c *Client) Replay(ctx context.Context, id string) (*Replay, error) {
	return post[Replay](ctx, c, "/v1/decisions/"+url.PathEscape(id)+"/replay", nil)
}

// Promote asks for artifacts to be let into an environment, all or none. A
// refusal is no error.
func (c *Client) Promote(ctx context.Context, ask release.PromotionAsk) (*release.Result, error) {
	return post[release.Result](ctx, c, "/v1/promotions", ask)
}

// Promotions lists promotions, the newest first; artifact and environment may be
// empty.
func (c *Client) Promotions(ctx context.Context, artifact, environment string, p Paging) (*Page[touchstone.Promotion], error) {
	return get[Page[touchstone.Promotion]](ctx, c, "/v1/promotions", p.values("artifact", artifact, "environment", environment))
}

// Requests lists what somebody asks of others; state and kind may be empty.
func (c *Client) Requests(ctx context.Context, state release.State, kind release.Kind, p Paging) (*Page[release.Request], error) {
	return get[Page[release.Request]](ctx, c, "/v1/requests", p.values("state", string(state), "kind", string(kind)))
}

// Ask asks for a waiver, rules or an improvement.
func (c *Client) Ask(ctx context.Context, r release.Request) (*release.Request, error) {
	return post[release.Request](ctx, c, "/v1/requests", r)
}

// Request returns one request.
func (c *Client) Request(ctx context.Context, id string) (*release.Request, error) {
	return get[release.Request](ctx, c, "/v1/requests/"+url.PathEscape(id), nil)
}

// Approve says yes to a request.
func (c *Client) Approve(ctx context.Context, id, reason string) (*release.Request, error) {
	return post[release.Request](ctx, c, "/v1/requests/"+url.PathEscape(id)+"/approve", Remark{reason})
}

// Reject says no to a request.
func (c *Client) Reject(ctx context.Context, id, reason string) (*release.Request, error) {
	return post[release.Request](ctx, c, "/v1/requests/"+url.PathEscape(id)+"/reject", Remark{reason})
}

// Waivers lists those in force, the first to lapse first.
func (c *Client) Waivers(ctx context.Context, p Paging) (*Page[touchstone.Waiver], error) {
	return get[Page[touchstone.Waiver]](ctx, c, "/v1/waivers", p.values())
}

// ImportWaivers asks for every waiver of a file, all or none.
func (c *Client) ImportWaivers(ctx context.Context, f WaiverFile) (*Imported, error) {
	return post[Imported](ctx, c, "/v1/waivers/import", f)
}

// RevokeWaiver ends a waiver before its time.
func (c *Client) RevokeWaiver(ctx context.Context, id, reason string) error {
	return c.tell(ctx, "/v1/waivers/"+url.PathEscape(id)+"/revoke", reason)
}

// Freezes lists freezes, past ones left out.
func (c *Client) Freezes(ctx context.Context, p Paging) (*Page[touchstone.Freeze], error) {
	return get[Page[touchstone.Freeze]](ctx, c, "/v1/freezes", p.values())
}

// Freeze declares a freeze, and returns it with its id.
func (c *Client) Freeze(ctx context.Context, f touchstone.Freeze) (*touchstone.Freeze, error) {
	return post[touchstone.Freeze](ctx, c, "/v1/freezes", f)
}

// Thaw ends a freeze before its time.
func (c *Client) Thaw(ctx context.Context, id, reason string) error {
	return c.tell(ctx, "/v1/freezes/"+url.PathEscape(id)+"/thaw", reason)
}

// Rules returns the rules in force.
func (c *Client) Rules(ctx context.Context) (*Rules, error) {
	return get[Rules](ctx, c, "/v1/rules", nil)
}

// Simulate tries other rules, a waiver or advisories.
func (c *Client) Simulate(ctx context.Context, ask SimulationAsk) (*gate.Simulation, error) {
	return post[gate.Simulation](ctx, c, "/v1/simulations", ask)
}

// Namespaces lists namespaces and whether their rules are enforced; cluster may
// be empty.
func (c *Client) Namespaces(ctx context.Context, cluster string) (*Page[gate.Mode], error) {
	return get[Page[gate.Mode]](ctx, c, "/v1/namespaces", Paging{}.values("cluster", cluster))
}

// SetMode sets whether a namespace's rules are enforced. Where something is in
// the way the answer names it, and nothing was switched.
func (c *Client) SetMode(ctx context.Context, namespace string, ask ModeAsk) (*ModeAnswer, error) {
	return with[ModeAnswer](ctx, c, call{method: http.MethodPut, path: "/v1/namespaces/" + url.PathEscape(namespace), body: ask})
}

// Log lists entries of the log in order; kind and about may be empty.
func (c *Client) Log(ctx context.Context, kind, about string, p Paging) (*Page[Entry], error) {
	return get[Page[Entry]](ctx, c, "/v1/log", p.values("kind", kind, "about", about))
}

// NewestLog lists entries of the log, the newest first; kind and about may be
// empty.
func (c *Client) NewestLog(ctx context.Context, kind, about string, p Paging) (*Page[Entry], error) {
	return get[Page[Entry]](ctx, c, "/v1/log", p.values("kind", kind, "about", about, "order", "newest"))
}

// Checkpoint returns the latest signed checkpoint.
func (c *Client) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	return get[Checkpoint](ctx, c, "/v1/log/checkpoint", nil)
}

// VerifyLog verifies the whole log, against a checkpoint too that was kept
// elsewhere, unless note is empty.
func (c *Client) VerifyLog(ctx context.Context, note string) (*record.Verification, error) {
	return post[record.Verification](ctx, c, "/v1/log/verify", VerifyAsk{note})
}

// WhoAmI tells whose token this is.
func (c *Client) WhoAmI(ctx context.Context) (*Token, error) {
	return get[Token](ctx, c, "/v1/whoami", nil)
}

// Tokens lists tokens without their secrets.
func (c *Client) Tokens(ctx context.Context, p Paging) (*Page[Token], error) {
	return get[Page[Token]](ctx, c, "/v1/tokens", p.values())
}

// MakeToken makes a token. Token.Secret is told this once.
func (c *Client) MakeToken(ctx context.Context, ask TokenAsk) (*Token, error) {
	return post[Token](ctx, c, "/v1/tokens", ask)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id, reason string) error {
	return c.tell(ctx, "/v1/tokens/"+url.PathEscape(id)+"/revoke", reason)
}

// Backup has the server write a backup into its data folder.
func (c *Client) Backup(ctx context.Context) (*Backup, error) {
	return post[Backup](ctx, c, "/v1/backups", nil)
}
