package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/release"
)

// kindToken is the kind of the facts that hold tokens, by their ids, and of the
// entries that say who made or ended one.
const kindToken = "token"

// The lives of tokens.
const (
	tokenLife    = 90 * 24 * time.Hour
	longestLife  = 366 * 24 * time.Hour
	tokenPrefix  = "tst_" // by which scanners for secrets know one
	secretLength = 32     // random bytes
)

// keptToken is a token as it is kept.
//
// Hash is the plain SHA-256 of the secret. A slow, salted hash is for passwords,
// which people choose and others guess; 32 random bytes cannot be guessed from a
// fast one either, and every call pays for it.
type keptToken struct {
	api.Token
	Hash   string    `json:"hash"` // hexadecimal
	By     string    `json:"by"`   // who made it
	Made   time.Time `json:"made"`
	Reason string    `json:"reason,omitempty"` // why it was revoked
}

// tokens keeps who may call.
type tokens struct {
	store record.Store
	now   func() time.Time
}

// caller is who calls: a token that holds.
type caller struct {
	api.Token
	secret string
}

func (c *caller) person() release.Person { return release.Person{Name: c.Name, Groups: c.Groups} }

// may reports whether the caller's role is at least the one wanted. A guard's is
// beside the others: none of theirs is more, nor less.
func (c *caller) may(least api.Role) bool {
	if least == api.Guard || c.Role == api.Guard {
		return least == c.Role
	}
	return slices.Index(api.Roles(), c.Role) >= slices.Index(api.Roles(), least)
}

// within refuses what lies outside the token's scope. No environment stands for
// all of them.
func (c *caller) within(environments ...string) error {
	if len(c.Scope) == 0 {
		return nil
	}
	hint := "use a token for it, or name an environment of " + strings.Join(c.Scope, ", ")
	if len(environments) == 0 {
		return problem(http.StatusForbidden, "this concerns every environment, and the token is for "+strings.Join(c.Scope, ", ")+" alone", hint)
	}
	for _, e := range environments {
		if !slices.Contains(c.Scope, e) {
			return problem(http.StatusForbidden, fmt.Sprintf("the token is not for the environment %q", e), hint)
		}
	}
	return nil
}

var errToken = errors.New("the token is not known, has expired or was revoked")

// splitToken parts a token into id and secret.
func splitToken(bearer string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(bearer, tokenPrefix)
	if !ok || len(rest) > 200 {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	return id, secret, ok && id != "" && secret != ""
}

// find returns whose token it is, or errToken; known is the id of a token that
// exists, whatever its secret. It takes as long for a secret that is wrong in its
// first character as for one that is wrong in its last.
func (t *tokens) find(ctx context.Context, bearer string) (c *caller, known string, err error) {
	id, secret, ok := splitToken(bearer)
	if !ok {
		return nil, "", errToken
	}
	kept, _, err := record.Get[keptToken](ctx, t.store, kindToken, id)
	if errors.Is(err, record.ErrNotFound) {
		return nil, "", errToken
	}
	if err != nil {
		return nil, "", fmt.Errorf("looking up the token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(hashSecret(secret)), []byte(kept.Hash)) != 1 || !kept.holds(t.now()) {
		return nil, id, errToken
	}
	return &caller{Token: kept.Token, secret: secret}, id, nil
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (k *keptToken) holds(now time.Time) bool {
	return k.Revoked.IsZero() && now.Before(k.Expires)
}

// make makes a token. Nobody hands on more than they have: one whose own token is
// for some environments makes tokens for those alone.
func (t *tokens) make(ctx context.Context, by *caller, ask api.TokenAsk) (*api.Token, error) {
	kept, made, err := t.prepare(by, ask)
	if err != nil {
		return nil, err
	}
	return made, t.write(ctx, by, kept, record.Condition{Absent: true}, "made")
}

// prepare returns a token as it is kept, and as it is told.
func (t *tokens) prepare(by *caller, ask api.TokenAsk) (*keptToken, *api.Token, error) {
	now := t.now().UTC()
	if ask.Expires.IsZero() {
		ask.Expires = now.Add(tokenLife).Truncate(time.Second)
	}
	if err := checkTokenAsk(&ask, now); err != nil {
		return nil, nil, err
	}
	if err := by.within(ask.Scope...); err != nil {
		return nil, nil, err
	}
	raw := make([]byte, secretLength)
	if _, err := rand.Read(raw); err != nil {
		return nil, nil, fmt.Errorf("making a token: %w", err)
	}
	secret := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
	kept := keptToken{Hash: hashSecret(secret), By: by.Name, Made: now, Token: api.Token{
		ID: record.NewID(now), Name: ask.Name, Groups: ask.Groups, Role: ask.Role, Scope: ask.Scope, Node: ask.Node, Expires: ask.Expires.UTC(),
	}}
	made := kept.Token
	made.Secret = tokenPrefix + kept.ID + "_" + secret
	return &kept, &made, nil
}

func checkTokenAsk(ask *api.TokenAsk, now time.Time) error {
	bad := func(detail, hint string) error { return problem(http.StatusUnprocessableEntity, detail, hint) }
	switch {
	case strings.TrimSpace(ask.Name) == "" || len(ask.Name) > 200:
		return bad("a token needs a name of 1 to 200 characters", "name the person or robot whose token it is")
	case strings.HasPrefix(ask.Name, "system:") || ask.Name == actorServer:
		return bad(fmt.Sprintf("the name %q is not a person's", ask.Name), "choose another; names that a cluster gives to itself begin with system:")
	case ask.Role != api.Guard && !slices.Contains(api.Roles(), ask.Role):
		return bad(fmt.Sprintf("there is no role %q", ask.Role), "one of viewer, developer, approver, admin, guard")
	case (ask.Role == api.Guard) != (ask.Node != "") || len(ask.Node) > 253 || strings.ContainsFunc(ask.Node, unicode.IsSpace):
		return bad("a guard's token is for one node, and no other token is for any", "name the node of the guard, as its cluster does")
	case ask.Role == api.Guard && len(ask.Scope) > 0:
		return bad("a guard's token is for its node, whatever the environments there", "leave scope out")
	case !ask.Expires.After(now):
		return bad("the token would have expired already", "give expires a moment to come")
	case ask.Expires.Sub(now) > longestLife:
		return bad("a token lives 366 days at most", "give expires an earlier moment")
	case len(ask.Groups) > 100 || len(ask.Scope) > 100:
		return bad("a token has 100 groups and 100 environments at most", "")
	}
	if slices.Contains(ask.Groups, "") || slices.Contains(ask.Scope, "") {
		return bad("a group or an environment has no name", "leave it out")
	}
	return nil
}

// write puts a token into the record. The entry's body holds no hash: the log is
// read by everybody.
func (t *tokens) write(ctx context.Context, by *caller, kept *keptToken, expect record.Condition, what string) error {
	f, err := record.Put(kindToken, kept.ID, kept)
	if err != nil {
		return err
	}
	f.If = expect
	body, err := json.Marshal(struct {
		What string `json:"what"`
		api.Token
		Reason string `json:"reason,omitempty"`
	}{what, kept.Token, kept.Reason})
	if err != nil {
		return err
	}
	_, err = t.store.Commit(ctx, record.Change{Kind: kindToken, Actor: by.Name, About: kept.ID, Body: body, Facts: []record.Fact{f}})
	return err
}

// list returns a page of tokens, the oldest first.
func (t *tokens) list(ctx context.Context, after string, limit int) (*api.Page[api.Token], error) {
	out := &api.Page[api.Token]{Items: []api.Token{}}
	for d, err := range record.List[keptToken](ctx, t.store, record.FactQuery{Kind: kindToken, After: after, Limit: limit + 1}) {
		if err != nil {
			return nil, err
		}
		if len(out.Items) == limit {
			out.Next = out.Items[limit-1].ID
			break
		}
		out.Items = append(out.Items, d.Content.Token)
	}
	return out, nil
}

// revoke ends a token. The last one that can make others stays: nobody could let
// anybody in again but by "touchstone serve token" on the server's own disk.
func (t *tokens) revoke(ctx context.Context, by *caller, id, reason string) error {
	kept, fact, err := record.Get[keptToken](ctx, t.store, kindToken, id)
	if errors.Is(err, record.ErrNotFound) {
		return problem(http.StatusNotFound, fmt.Sprintf("there is no token %q", id), "touchstone token list")
	}
	if err != nil {
		return err
	}
	if err := by.within(kept.Scope...); err != nil {
		return err
	}
	now := t.now().UTC()
	if !kept.Revoked.IsZero() {
		return nil
	}
	if others, err := t.admins(ctx, now, id); err != nil {
		return err
	} else if kept.holds(now) && kept.full() && others == 0 {
		return problem(http.StatusConflict, "this is the last token that can make others", "make another administrator's token first")
	}
	kept.Revoked, kept.Reason = now, reason
	return t.write(ctx, by, &kept, record.Condition{Seq: fact.Seq}, "revoked")
}

// full reports whether the token may do everything.
func (k *keptToken) full() bool { return k.Role == api.Admin && len(k.Scope) == 0 }

// admins counts the tokens that may do everything, but for one.
func (t *tokens) admins(ctx context.Context, now time.Time, but string) (int, error) {
	n := 0
	for d, err := range record.List[keptToken](ctx, t.store, record.FactQuery{Kind: kindToken}) {
		if err != nil {
			return 0, err
		}
		if k := &d.Content; k.ID != but && k.full() && k.holds(now) {
			n++
		}
	}
	return n, nil
}

// first makes the first administrator's token, where there never was a token. It is
// put away before it holds: a start that is killed in between is a first start
// again.
func (t *tokens) first(ctx context.Context, putAway func(secret string) error) (*api.Token, error) {
	for _, err := range t.store.Facts(ctx, record.FactQuery{Kind: kindToken, Limit: 1}) {
		return nil, err
	}
	kept, made, err := t.prepare(local(), api.TokenAsk{Name: "admin", Role: api.Admin, Expires: t.now().Add(longestLife).Truncate(time.Second)})
	if err != nil {
		return nil, err
	}
	if err := putAway(made.Secret); err != nil {
		return nil, err
	}
	return made, t.write(ctx, local(), kept, record.Condition{Absent: true}, "made")
}

// actorServer is who acts where nobody asked.
const actorServer = "touchstone"

// local is whoever may write the server's data folder.
func local() *caller {
	return &caller{Token: api.Token{Name: actorServer, Role: api.Admin}}
}
