package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Client calls a server. It may be used from many goroutines.
//
// A call that fails on the way (no connection, 429, 502, 503, 504) is made again,
// a write with the Idempotency-Key of its first attempt, so that nothing is done
// twice.
type Client struct {
	Base  string // "https://touchstone.example:8443"
	Token string // empty for what anybody may call
	// TokenFile holds the token instead. It is read for each call: what keeps it
	// there (a kubelet) may put another in its place at any time.
	TokenFile string
	// HTTP carries the calls; Pinned makes one. nil trusts the system's
	// authorities.
	HTTP *http.Client
	// Agent names the program: "touchstone/1.2".
	Agent string
	// Attempts is how often a call is made before it has failed; 4 when zero.
	Attempts int
	// Pause is the time before the second attempt, doubled before each further
	// one; 250 ms when zero.
	Pause time.Duration
}

// mostAnswer is more than any answer has: a check of the largest images is about
// 40 MB.
const mostAnswer = 256 << 20

// ProblemError is an answer that is not a success.
type ProblemError struct{ Problem }

// Error tells the detail, and the hint on a line of its own.
func (e *ProblemError) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
}

// Pinned returns what carries calls to a server whose certificate is signed by
// one of the authorities in the file (PEM), and by no other.
func Pinned(authorities string) (*http.Client, error) {
	data, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("reading the server's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", authorities)
	}
	return carrier(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}), nil
}

// stay follows no redirect: a server has none, and a token is for it alone.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func carrier(c *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, ForceAttemptHTTP2: true,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 5 * time.Minute,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second,
		},
		CheckRedirect: stay,
	}
}

// call is one thing to ask of the server.
type call struct {
	method string
	path   string
	query  url.Values
	body   any
	into   any // a document's address, *[]byte for the bytes, nil for none
	// also is a status beside the successes whose answer is the document.
	also int
}

// do makes the call, as often as it takes.
func (c *Client) do(ctx context.Context, what call) error {
	if err := c.safe(); err != nil {
		return err
	}
	var body []byte
	if what.body != nil {
		var err error
		if body, err = json.Marshal(what.body); err != nil {
			return fmt.Errorf("%s %s: %w", what.method, what.path, err)
		}
	}
	key := ""
	if what.method != http.MethodGet {
		key = rand.Text()
	}
	attempts, pause := c.Attempts, c.Pause
	if attempts == 0 {
		attempts = 4
	}
	if pause == 0 {
		pause = 250 * time.Millisecond
	}
	for n := 1; ; n++ {
		again, after, err := c.once(ctx, what, body, key)
		if !again || n >= attempts {
			return err
		}
		if after == 0 {
			after = jitter(pause << (n - 1))
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(after):
		}
	}
}

// safe refuses to send a token where anybody can read it.
func (c *Client) safe() error {
	u, err := url.Parse(c.Base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is no address of a server\nhint: as in https://touchstone.example:8443", c.Base)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && c.Token+c.TokenFile != "" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("the token is not sent to %s without TLS\nhint: use https://", c.Base)
	}
	return nil
}

// token returns what the call carries.
func (c *Client) token() (string, error) {
	if c.TokenFile == "" {
		return c.Token, nil
	}
	data, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// once makes one attempt, and says whether another may help, and after how long.
func (c *Client) once(ctx context.Context, what call, body []byte, key string) (again bool, after time.Duration, err error) {
	res, err := c.send(ctx, what, body, key)
	if err != nil {
		return ctx.Err() == nil && !untrusted(err), 0, unreached(c.Base, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	switch {
	case err != nil:
		return ctx.Err() == nil, 0, fmt.Errorf("%s %s: reading the answer: %w", what.method, what.path, err)
	case len(data) > mostAnswer:
		return false, 0, fmt.Errorf("%s %s: the answer has more than %d bytes", what.method, what.path, mostAnswer)
	case res.StatusCode >= 300 && res.StatusCode != what.also:
		return passing(res.StatusCode), retryAfter(res), problemOf(res, data)
	}
	switch into := what.into.(type) {
	case nil:
		return false, 0, nil
	case *[]byte:
		*into = data
		return false, 0, nil
	default:
		if err := json.Unmarshal(data, into); err != nil {
			return false, 0, fmt.Errorf("%s %s: the answer is not what this version expects: %w", what.method, what.path, err)
		}
		return false, 0, nil
	}
}

func (c *Client) send(ctx context.Context, what call, body []byte, key string) (*http.Response, error) {
	address := strings.TrimSuffix(c.Base, "/") + what.path
	if len(what.query) > 0 {
		address += "?" + what.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, what.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"Idempotency-Key": key, "User-Agent": c.Agent} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if c.HTTP != nil {
		return c.HTTP.Do(req)
	}
	return (&http.Client{CheckRedirect: stay}).Do(req)
}

// passing reports whether a status may be gone at the next attempt.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is what the server asks for, and no more than somebody waits.
func retryAfter(res *http.Response) time.Duration {
	n, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, 30*time.Second)
}

// problemOf reads the server's own words, or says what came instead of them: a
// proxy in between answers as it likes.
func problemOf(res *http.Response, data []byte) error {
	p := Problem{Status: res.StatusCode, Title: http.StatusText(res.StatusCode)}
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	if kind != "application/problem+json" || json.Unmarshal(data, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("%s answered %q and not as a Touchstone server does", res.Request.URL.Host, res.Status)
		p.Hint = "is --server right, and is there a proxy in between?"
	}
	return &ProblemError{p}
}

// untrusted reports whether the server's certificate is not to be believed; it
// will not be at the next attempt either.
func untrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	return errors.As(err, &verify)
}

func unreached(base string, err error) error {
	var lost *url.Error
	if errors.As(err, &lost) {
		err = lost.Err
	}
	hint := "is the server running, and is the address right?"
	if untrusted(err) {
		hint = "name the server's own authority, ca.pem in its data folder"
	}
	return fmt.Errorf("asking %s: %w\nhint: %s", base, err, hint)
}

// jitter is between half and all of d, so that clients of a server that comes
// back do not all come at once.
func jitter(d time.Duration) time.Duration {
	half := int64(d / 2)
	n, err := rand.Int(rand.Reader, big.NewInt(half+1))
	if err != nil {
		return d
	}
	return time.Duration(half + n.Int64())
}
