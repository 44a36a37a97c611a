package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/server"
)

// console is what a program writes, to be read meanwhile.
type console struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// execute runs the command line and returns its exit code and what it wrote.
func execute(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs console
	code = Run(ctx, args, strings.NewReader(""), &out, &errs, func(string) string { return "" })
	return code, out.String(), errs.String()
}

// TestServeFromTheFirstStartToARestore goes through what an administrator does
// with a server on one machine.
func TestServeFromTheFirstStartToARestore(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start := func() (said *console, stop func() int) {
		said = &console{}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan int, 1)
		_ = os.Remove(filepath.Join(data, "address")) // of the run before
		go func() {
			ended <- Run(ctx, []string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--hostname", "touchstone.example"},
				strings.NewReader(""), said, said, func(string) string { return "" })
		}()
		stop = sync.OnceValue(func() int { cancel(); return <-ended })
		t.Cleanup(func() { stop() })
		for limit := time.Now().Add(20 * time.Second); ; {
			if _, err := server.Address(data); err == nil {
				return said, stop
			} else if !errors.Is(err, fs.ErrNotExist) || time.Now().After(limit) {
				t.Fatalf("the server does not start: %v\n%s", err, said)
			}
			time.Sleep(5 * time.Millisecond) // it writes its address when it answers
		}
	}
	said, stop := start()
	token, err := os.ReadFile(server.FirstToken(data))
	if err != nil || !strings.Contains(said.String(), strings.TrimSpace(string(token))) {
		t.Errorf("the first token is not told: %v\n%s", err, said)
	}
	carrier, err := api.Pinned(server.Authority(data))
	if err != nil {
		t.Fatal(err)
	}
	base, err := server.Address(data)
	if err != nil {
		t.Fatal(err)
	}
	client := &api.Client{Base: base, Token: strings.TrimSpace(string(token)), HTTP: carrier}
	backup, err := client.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "token"}, {"serve", "restore", backup.Path}} {
		if code, _, why := execute(t.Context(), append(args, "--data", data)...); code != ExitUndecided || !strings.Contains(why, "another process") {
			t.Errorf("%v while the server runs: %d %s", args, code, why)
		}
	}
	if code := stop(); code != exitAllowed {
		t.Errorf("the server ended with %d: %s", code, said)
	}

	code, out, why := execute(t.Context(), "serve", "restore", backup.Path, "--data", data)
	if code != exitAllowed || !strings.Contains(out, "is kept as") {
		t.Errorf("restore: %d %s %s", code, out, why)
	}
	code, out, why = execute(t.Context(), "serve", "token", "--for", "root", "--data", data)
	if code != exitAllowed || !strings.HasPrefix(out, "tst_") {
		t.Errorf("token: %d %s %s", code, out, why)
	}
	said, stop = start()
	if base, err = server.Address(data); err != nil {
		t.Fatal(err)
	}
	client.Base, client.Token = base, strings.TrimSpace(out)
	if me, err := client.WhoAmI(t.Context()); err != nil || me.Name != "root" {
		t.Error(me, err)
	}
	if strings.Contains(said.String(), "tst_") {
		t.Errorf("a later start told a token:\n%s", said)
	}
	if code := stop(); code != exitAllowed {
		t.Errorf("the server ended with %d: %s", code, said)
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("version: 1\nrules: {"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, args := range map[string][]string{
		"bad rules":   {"--rules", bad},
		"an argument": {"now"},
		"a bad port":  {"--listen", "nowhere:port"},
	} {
		if code, _, why := execute(t.Context(), append([]string{"serve", "--data", t.TempDir()}, args...)...); code == exitAllowed || why == "" {
			t.Errorf("%s: %d %s", what, code, why)
		}
	}
	if code, _, why := execute(t.Context(), "serve", "token", "--data", t.TempDir()); code != ExitUndecided || !strings.Contains(why, "hint: --data") {
		t.Errorf("a token where no server was: %d %s", code, why)
	}
}
