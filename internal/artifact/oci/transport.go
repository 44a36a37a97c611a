package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// blobRequest marks the context of a request whose answer may be of any length.
type blobRequest struct{}

// carrier sends the requests to one registry and to where it redirects. It
// speaks plain HTTP only where that is allowed, and no answer makes it wait
// for ever.
type carrier struct {
	inner http.RoundTripper
	r     Registries
	limit int64 // of every answer but a blob's in bytes, whoever reads it
}

func newCarrier(r Registries, limit int64) *carrier {
	if r.Transport != nil {
		return &carrier{r.Transport, r, limit}
	}
	return &carrier{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: r.Connect}).DialContext,
		TLSHandshakeTimeout:   r.Connect,
		ResponseHeaderTimeout: r.Answer,
		DisableCompression:    true, // bytes as they are stored
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       r.Idle,
	}, r, limit}
}

func (c *carrier) close() error {
	if t, ok := c.inner.(*http.Transport); ok && c.r.Transport == nil {
		t.CloseIdleConnections()
	}
	return nil
}

// RoundTrip implements http.RoundTripper. It tries again what failed for a
// reason that passes.
func (c *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := c.once(req)
		if attempt > c.r.Retries || req.Body != nil || !passing(resp, err) {
			return resp, err
		}
		after := ""
		if resp != nil {
			after = resp.Header.Get("Retry-After")
			_ = resp.Body.Close() // it is asked for again
		}
		if err := c.wait(req.Context(), attempt, after); err != nil {
			return nil, err
		}
	}
}

// passing reports whether the same request may well succeed soon.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// wait waits before the nth retry, or for as many seconds as the registry asks
// for, but not long: whoever waits would rather know.
func (c *carrier) wait(ctx context.Context, n int, after string) error {
	const longest = 10 * time.Second
	d := c.r.Backoff << min(n-1, 10)
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		d = max(d, time.Duration(min(seconds, 10))*time.Second)
	}
	timer := time.NewTimer(min(d, longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *carrier) once(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !c.plainAllowed(req.URL.Host) {
		return nil, &plainError{req.URL.Host}
	}
	ctx, cancel := context.WithCancel(req.Context())
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", c.r.UserAgent)
	resp, err := c.inner.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, err
	}
	body := &impatient{ReadCloser: resp.Body, idle: c.r.Idle, cancel: cancel, limit: c.limit, left: c.limit}
	if ctx.Value(blobRequest{}) != nil {
		body.limit = -1
	}
	body.timer = time.AfterFunc(c.r.Idle, body.giveUp)
	body.timer.Stop()
	resp.Body = body
	if resp.StatusCode >= http.StatusBadRequest {
		const most = 60 << 10 // of a page that only says "no"
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, most), body}
	}
	return resp, nil
}

func (c *carrier) plainAllowed(host string) bool {
	return slices.Contains(c.r.Insecure, host) || loopback(host)
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// plainError says that a registry would have to be spoken to in the clear.
type plainError struct{ host string }

func (e *plainError) Error() string {
	return fmt.Sprintf("%s would have to be reached by plain HTTP, which is not allowed for it\nhint: list %s as an insecure registry if that is meant", e.host, e.host)
}

// impatient ends a body that stops coming, or that comes in drops: less than
// slowest bytes a second, after two times the longest wait for any.
type impatient struct {
	io.ReadCloser
	idle    time.Duration
	waited  time.Duration // for all that has come
	come    int64         // bytes
	slow    error         // why it was given up for slowness
	timer   *time.Timer
	cancel  context.CancelFunc
	stalled atomic.Bool
	limit   int64 // bytes in all; -1 for any number
	left    int64 // of limit
}

func (b *impatient) giveUp() {
	b.stalled.Store(true)
	b.cancel()
}

func (b *impatient) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	start := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(start)
	b.come += int64(n)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.stalled.Load() {
		return n, &stallError{fmt.Sprintf("nothing came for %s", b.idle)}
	}
	if b.slow == nil && err == nil && b.waited > 2*b.idle && b.come < int64(b.waited.Seconds()*slowest) {
		b.slow = &stallError{fmt.Sprintf("%d bytes came in %s", b.come, b.waited.Round(time.Second))}
		b.cancel()
	}
	if b.slow != nil {
		return 0, b.slow
	}
	if b.limit >= 0 {
		if b.left -= int64(n); b.left < 0 {
			return 0, fmt.Errorf("the answer is longer than %d bytes", b.limit)
		}
	}
	return n, err
}

func (b *impatient) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}

// slowest is how many bytes a second a registry sends at least.
const slowest = 1024

// stallError says how little came for too long.
type stallError struct{ what string }

func (e *stallError) Error() string { return e.what }

// redirect is the http.Client.CheckRedirect of requests to a registry. It
// keeps credentials from other hosts (the client itself ignores the port), and
// keeps a registry from pointing at what only this machine can reach.
func (c *carrier) redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return fmt.Errorf("stopped after 10 redirects")
	}
	from := via[0].URL
	if req.URL.Host == from.Host {
		return nil
	}
	req.Header.Del("Authorization")
	if !private(req.URL.Hostname()) || private(from.Hostname()) || slices.Contains(c.r.Insecure, req.URL.Host) {
		return nil
	}
	return &inwardError{from.Host, req.URL.Host}
}

// inwardError says that a registry pointed at an address inside the network.
type inwardError struct{ from, to string }

func (e *inwardError) Error() string {
	return fmt.Sprintf("%s redirects to %s, an address inside the network\nhint: list %s as an insecure registry if that is meant", e.from, e.to, e.to)
}

// private reports whether a host is named by an address that is not on the
// internet.
func private(host string) bool {
	if loopback(host) {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}
