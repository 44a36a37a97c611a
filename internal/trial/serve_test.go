package trial

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// logFile is the variable that names the file of the registry's requests.
const logFile = "TOUCHSTONE_TRIAL_LOG"

// serveRegistry is the registry's process: it says on standard output where it
// listens, and ends with its standard input. Each request is in the log before
// it is answered.
func serveRegistry() {
	file, err := os.OpenFile(os.Getenv(logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := fmt.Fprintln(file, r.Method, r.URL.Path); err != nil {
			log.Fatal(err)
		}
		images.ServeHTTP(w, r)
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(listener.Addr())
	log.Fatal(server.Serve(listener))
}

// aRegistry is a registry that runs as a process of its own.
type aRegistry struct {
	t    *testing.T
	host string
	log  string
}

func startRegistry(t *testing.T) aRegistry {
	t.Helper()
	r := aRegistry{t: t, log: filepath.Join(t.TempDir(), "requests")}
	c := command(t, "registry")
	c.Env = append(c.Env, logFile+"="+r.log)
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the registry does not start: %v", err)
	}
	r.host = strings.TrimSpace(address)
	return r
}

// push pushes an image, or several platforms, and forgets the requests so far.
func (r aRegistry) push(ref string, it remote.Taggable) string {
	r.t.Helper()
	tag, err := name.NewTag(r.host + "/" + ref)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := remote.Push(tag, it); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(r.log, 0); err != nil {
		r.t.Fatal(err)
	}
	return tag.String()
}

// read returns how often each of the layers was read since this was last asked.
func (r aRegistry) read(im v1.Image) []int {
	r.t.Helper()
	data, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.Truncate(r.log, 0); err != nil {
		r.t.Fatal(err)
	}
	requests := strings.Split(string(data), "\n")
	if len(data) == 0 {
		r.t.Error("the registry was not asked for anything")
	}
	layers, err := im.Layers()
	if err != nil {
		r.t.Fatal(err)
	}
	times := make([]int, len(layers))
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, request := range requests {
			if strings.HasPrefix(request, "GET ") && strings.HasSuffix(request, "/blobs/"+digest.String()) {
				times[i]++
			}
		}
	}
	return times
}
