// Package fetch downloads one file over HTTP and keeps at it: it asks whether
// the file has changed, resumes what was cut off, waits and tries again when the
// server is at fault, and gives up when the answer cannot be what was asked for.
// It knows nothing of advisories; what the file is the caller checks by its
// first bytes (Request.Check) and again when it is complete.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// Client fetches files. The zero value works.
type Client struct {
	HTTP     *http.Client  // nil means one with the limits below and the environment's proxies
	Attempts int           // how often a file is asked for; 0 means 5
	Backoff  time.Duration // before the second attempt, doubled before each further one; 0 means 1 s
	Stall    time.Duration // how long nothing may arrive; 0 means 30 s
	Largest  int64         // bytes of one file; 0 means 4 GB
	Agent    string        // User-Agent
	// Wait waits between attempts; nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
}

// longestBackoff bounds what a server may ask to be left alone for.
const longestBackoff = 2 * time.Minute

// Request is one file.
type Request struct {
	URL string
	// ETag and LastModified are what came with the copy that the caller has; the
	// answer is then only the news that it has not changed.
	ETag, LastModified string
	// Path is where the file goes. What is there already is the beginning of an
	// earlier attempt, and goes on where it can be shown to be of the same file.
	Path string
	// Check judges the first bytes (at most 512); nil takes any.
	Check func(head []byte) error
	// Progress is told how many bytes are there and how many there will be (-1
	// if that is unknown); it may be nil.
	Progress func(done, total int64)
}

// Result is what came of it.
type Result struct {
	NotModified  bool
	ETag         string
	LastModified string
	Size         int64
	SHA256       touchstone.Digest
}

// Status is an answer that is not the file.
type Status struct {
	URL  string
	Code int
}

func (s *Status) Error() string {
	return fmt.Sprintf("fetch %s: the server answered %d %s", s.URL, s.Code, http.StatusText(s.Code))
}

// ErrUnfit marks an answer that cannot be what was asked for: a web page, too
// many bytes. Asking again would not help.
var ErrUnfit = errors.New("the answer is not the file")

// Get fetches a file.
func (c *Client) Get(ctx context.Context, r Request) (Result, error) {
	wait := c.Wait
	if wait == nil {
		wait = sleep
	}
	attempts, pause := or(c.Attempts, 5), or(c.Backoff, time.Second)
	for attempt := 1; ; attempt++ {
		res, after, err := c.try(ctx, &r)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if after < 0 || attempt >= attempts {
			return Result{}, err
		}
		if err := wait(ctx, min(max(pause, after), longestBackoff)); err != nil {
			return Result{}, err
		}
		pause *= 2
	}
}

// try asks once. after is how long to wait before the next attempt at least;
// negative when there is no use in one.
func (c *Client) try(ctx context.Context, r *Request) (res Result, after time.Duration, err error) {
	const never = -1
	out, begun, err := openPart(r)
	if err != nil {
		return res, never, err
	}
	defer out.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := or(c.Stall, 30*time.Second)
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing has arrived for %s", stall)) })
	defer timer.Stop()

	req, err := c.request(ctx, r, begun)
	if err != nil {
		return res, never, err
	}
	resp, err := c.client().Do(req)
	if err != nil {
		return res, 0, fmt.Errorf("fetch %s: %w", r.URL, cause(ctx, err))
	}
	defer resp.Body.Close()
	at, total, after, err := accept(r, resp, begun)
	switch {
	case err != nil:
		if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			_ = discard(out, r.Path)
		}
		return res, after, err
	case resp.StatusCode == http.StatusNotModified:
		_ = discard(out, r.Path)
		_ = os.Remove(r.Path)
		return Result{NotModified: true, ETag: r.ETag, LastModified: r.LastModified}, 0, nil
	}
	if err := begin(out, r, resp, at); err != nil {
		return res, never, err
	}
	in := &meter{in: resp.Body, at: at, total: total, most: or(c.Largest, 4<<30), tell: r.Progress, alive: func() { timer.Reset(stall) }}
	if err := copyChecked(out, in, r, at); err != nil {
		if errors.Is(err, ErrUnfit) {
			_ = discard(out, r.Path)
			return res, never, fmt.Errorf("fetch %s: %w", r.URL, err)
		}
		return res, 0, fmt.Errorf("fetch %s: it was cut off after %d bytes: %w", r.URL, in.at, cause(ctx, err))
	}
	if total >= 0 && in.at != total {
		_ = discard(out, r.Path)
		return res, 0, fmt.Errorf("fetch %s: %d bytes came where %d were promised", r.URL, in.at, total)
	}
	res, err = finish(out, r, resp)
	return res, never, err
}

func (c *Client) request(ctx context.Context, r *Request, begun part) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, err
	}
	// What is stored is what is hashed: no transfer in between may repack it.
	req.Header.Set("Accept-Encoding", "identity")
	if c.Agent != "" {
		req.Header.Set("User-Agent", c.Agent)
	}
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	} else if r.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.LastModified)
	}
	if begun.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", begun.size))
		req.Header.Set("If-Range", begun.ETag)
	}
	return req, nil
}

// accept judges status and headers: from which byte the body counts, and how
// many bytes the whole file has.
func accept(r *Request, resp *http.Response, begun part) (at, total int64, after time.Duration, err error) {
	const never = -1
	switch code := resp.StatusCode; {
	case code == http.StatusNotModified && (r.ETag != "" || r.LastModified != ""):
		return 0, 0, 0, nil
	case code == http.StatusOK:
		at, total = 0, resp.ContentLength
	case code == http.StatusPartialContent:
		first, whole, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || first != begun.size || begun.size == 0 {
			return 0, 0, never, fmt.Errorf("fetch %s: %w: it is another part than was asked for", r.URL, ErrUnfit)
		}
		at, total = first, whole
	case code == http.StatusRequestedRangeNotSatisfiable && begun.size > 0:
		return 0, 0, 0, &Status{r.URL, code}
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return 0, 0, time.Duration(max(seconds, 0)) * time.Second, &Status{r.URL, code}
	default:
		return 0, 0, never, &Status{r.URL, code}
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return 0, 0, never, fmt.Errorf("fetch %s: %w: it is a web page", r.URL, ErrUnfit)
	}
	return at, total, 0, nil
}

// contentRange reads "bytes 100-199/200" (RFC 9110, section 14.4).
func contentRange(s string) (first, total int64, ok bool) {
	rest, found := strings.CutPrefix(s, "bytes ")
	span, whole, slash := strings.Cut(rest, "/")
	from, _, dash := strings.Cut(span, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	total = -1
	var err2 error
	if whole != "*" {
		total, err2 = strconv.ParseInt(whole, 10, 64)
	}
	return first, total, found && slash && dash && err1 == nil && err2 == nil
}

// meter counts what arrives, says so, and stops what is too much.
type meter struct {
	in        io.Reader
	at, total int64
	most      int64
	tell      func(done, total int64)
	alive     func()
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.in.Read(b)
	m.at += int64(n)
	if n > 0 {
		m.alive()
		if m.tell != nil {
			m.tell(m.at, m.total)
		}
	}
	if m.at > m.most {
		return n, fmt.Errorf("%w: it is larger than %d bytes", ErrUnfit, m.most)
	}
	return n, err
}

// copyChecked appends the body to the file once its beginning is found fit.
func copyChecked(out *os.File, in io.Reader, r *Request, at int64) error {
	if r.Check != nil && at == 0 {
		head := make([]byte, 512)
		n, err := io.ReadFull(in, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 || errors.Is(err, io.EOF) {
			if err := r.Check(head[:n]); err != nil {
				return fmt.Errorf("%w: %w", ErrUnfit, err)
			}
		}
		if _, err := out.Write(head[:n]); err != nil {
			return err
		}
	}
	_, err := io.Copy(out, in)
	return err
}

// part is the beginning of a file that an earlier attempt left, and how it is
// known that the rest belongs to it.
type part struct {
	URL  string `json:"url"`
	ETag string `json:"etag"`
	size int64
}

// openPart opens the file at r.Path for appending.
func openPart(r *Request) (*os.File, part, error) {
	var p part
	note, err := os.ReadFile(r.Path + ".json")
	resumable := err == nil && json.Unmarshal(note, &p) == nil && p.URL == r.URL && strong(p.ETag)
	out, err := os.OpenFile(r.Path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, p, err
	}
	if !resumable {
		return out, part{}, nil
	}
	info, err := out.Stat()
	if err != nil {
		_ = out.Close()
		return nil, p, err
	}
	p.size = info.Size()
	return out, p, nil
}

// begin makes the file ready for a body that starts at byte at, and notes what
// would be needed to go on with it later.
func begin(out *os.File, r *Request, resp *http.Response, at int64) error {
	if err := out.Truncate(at); err != nil {
		return err
	}
	if _, err := out.Seek(at, io.SeekStart); err != nil {
		return err
	}
	if at > 0 {
		return nil
	}
	note, err := json.Marshal(part{URL: r.URL, ETag: resp.Header.Get("ETag")})
	if err != nil {
		return err
	}
	return os.WriteFile(r.Path+".json", note, 0o644)
}

func discard(out *os.File, path string) error {
	return errors.Join(out.Truncate(0), os.Remove(path+".json"))
}

func finish(out *os.File, r *Request, resp *http.Response) (Result, error) {
	if err := out.Sync(); err != nil {
		return Result{}, err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return Result{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, out)
	if err != nil {
		return Result{}, err
	}
	_ = os.Remove(r.Path + ".json")
	return Result{
		ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"),
		Size: n, SHA256: touchstone.Digest(fmt.Sprintf("sha256:%x", sum.Sum(nil))),
	}, nil
}

// strong reports whether an ETag names bytes (RFC 9110, section 8.8.1): only
// then may a file be put together from two answers.
func strong(etag string) bool { return strings.HasPrefix(etag, `"`) }

// cause prefers the reason for which a request was given up to what the
// transport says of it.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("it redirects without end")
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("it redirects from https to " + req.URL.Scheme)
		}
		return nil
	}}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}
