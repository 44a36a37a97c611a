package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"touchstone.dev/touchstone"
)

// served is a server whose answers are listed, one for each request; the last
// repeats.
func served(t *testing.T, answers ...http.HandlerFunc) (string, *atomic.Int32) {
	t.Helper()
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		answers[min(i, len(answers)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, &n
}

var body = bytes.Repeat([]byte("0123456789abcdef"), 8192) // 128 kB

func whole(etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}

// cut promises all and gives n bytes.
func cut(etag string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:n])
		panic(http.ErrAbortHandler)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(code)
	}
}

func client(waits *[]time.Duration) *Client {
	return &Client{Attempts: 3, Wait: func(_ context.Context, d time.Duration) error {
		if waits != nil {
			*waits = append(*waits, d)
		}
		return nil
	}}
}

func get(t *testing.T, c *Client, url string, r Request) (Result, string, error) {
	t.Helper()
	r.URL = url
	if r.Path == "" {
		r.Path = filepath.Join(t.TempDir(), "file")
	}
	res, err := c.Get(context.Background(), r)
	return res, r.Path, err
}

func check(t *testing.T, res Result, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(body), err)
	}
	if want := touchstone.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(body))); res.SHA256 != want || res.Size != int64(len(body)) {
		t.Fatalf("result %+v, want digest %s", res, want)
	}
	if _, err := os.Stat(path + ".json"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the note about a partial file was left behind")
	}
}

func TestGet(t *testing.T) {
	url, _ := served(t, whole(`"a"`))
	var last, total int64
	res, path, err := get(t, client(nil), url, Request{Progress: func(d, n int64) { last, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
	if res.ETag != `"a"` || last != int64(len(body)) || total != last {
		t.Errorf("etag %s, progress %d of %d", res.ETag, last, total)
	}
}

func TestNotModified(t *testing.T) {
	url, _ := served(t, whole(`"a"`))
	res, path, err := get(t, client(nil), url, Request{ETag: `"a"`})
	if err != nil || !res.NotModified || res.ETag != `"a"` {
		t.Fatalf("%+v, %v", res, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file is there although nothing was fetched")
	}
	// A server that says so unasked is not believed.
	url, _ = served(t, status(304))
	if _, _, err := get(t, client(nil), url, Request{}); err == nil {
		t.Error("304 to a plain request is taken for an answer")
	}
}

func TestResume(t *testing.T) {
	var ranges []string
	rest := func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
		whole(`"a"`)(w, r)
	}
	url, n := served(t, cut(`"a"`, 65536), rest)
	res, path, err := get(t, client(nil), url, Request{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
	if n.Load() != 2 || len(ranges) != 1 || !strings.HasPrefix(ranges[0], "bytes=") || !strings.HasSuffix(ranges[0], `- "a"`) {
		t.Errorf("%d requests, ranges %q", n.Load(), ranges)
	}
}

func TestResumeLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	url, _ := served(t, cut(`"a"`, 65536), status(404), whole(`"a"`))
	if _, _, err := get(t, client(nil), url, Request{Path: path}); err == nil {
		t.Fatal("404 is taken for the file")
	}
	res, _, err := get(t, client(nil), url, Request{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
}

func TestChangedMeanwhile(t *testing.T) {
	url, _ := served(t, cut(`"old"`, 65536), whole(`"new"`))
	res, path, err := get(t, client(nil), url, Request{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
	if res.ETag != `"new"` {
		t.Error(res.ETag)
	}
}

func TestWeakETagIsNotResumed(t *testing.T) {
	url, _ := served(t, cut(`W/"a"`, 65536), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			t.Error("two answers are put together that nothing shows to belong together")
		}
		whole(`W/"a"`)(w, r)
	})
	res, path, err := get(t, client(nil), url, Request{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
}

func TestTriesAgain(t *testing.T) {
	var waits []time.Duration
	url, _ := served(t, status(503), status(429), whole(`"a"`))
	res, path, err := get(t, client(&waits), url, Request{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, res, path)
	if len(waits) != 2 || waits[0] != 7*time.Second || waits[1] != 7*time.Second {
		t.Errorf("waited %v, and the server asked for 7s", waits)
	}
	url, n := served(t, status(500))
	var s *Status
	if _, _, err := get(t, client(nil), url, Request{}); !errors.As(err, &s) || s.Code != 500 || n.Load() != 3 {
		t.Errorf("%v after %d attempts", err, n.Load())
	}
}

func TestGivesUp(t *testing.T) {
	page := func(contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte("<html>sign in"))
		}
	}
	noPage := func(head []byte) error {
		if bytes.HasPrefix(head, []byte("<")) {
			return errors.New("it is a web page")
		}
		return nil
	}
	wrongPart := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(http.StatusPartialContent)
	}
	tests := map[string]http.HandlerFunc{"not found": status(404), "a page": page("text/html; charset=utf-8"), "a page that says it is a zip": page("application/zip"), "a part": wrongPart}
	for name, answer := range tests {
		url, n := served(t, answer)
		if _, _, err := get(t, client(nil), url, Request{Check: noPage}); err == nil || n.Load() != 1 {
			t.Errorf("%s: %v after %d attempts", name, err, n.Load())
		}
	}
	url, n := served(t, whole(`"a"`))
	c := client(nil)
	c.Largest = 1000
	if _, _, err := get(t, c, url, Request{}); !errors.Is(err, ErrUnfit) || n.Load() != 1 {
		t.Errorf("too large: %v after %d attempts", err, n.Load())
	}
}

func TestStall(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done() // until the client has had enough
	}
	url, n := served(t, hang)
	c := client(nil)
	c.Stall = 20 * time.Millisecond
	if _, _, err := get(t, c, url, Request{}); err == nil || !strings.Contains(err.Error(), "nothing has arrived") || n.Load() != 3 {
		t.Errorf("%v after %d attempts", err, n.Load())
	}
}

func TestCancel(t *testing.T) {
	url, n := served(t, status(503))
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{Wait: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }}
	if _, err := c.Get(ctx, Request{URL: url, Path: filepath.Join(t.TempDir(), "x")}); !errors.Is(err, context.Canceled) || n.Load() != 1 {
		t.Errorf("%v after %d attempts", err, n.Load())
	}
}
