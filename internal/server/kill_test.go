package server

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/artifact/oci"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
)

// dataVariable makes this test's binary a server on the folder that it names.
const dataVariable = "TOUCHSTONE_TEST_SERVER"

func TestMain(m *testing.M) {
	data := os.Getenv(dataVariable)
	if data == "" {
		os.Exit(m.Run())
	}
	if err := serveFor(data); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// serveFor runs a server until it is told to end, or killed.
func serveFor(data string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	evidence, err := blob.Open(blob.Config{Dir: filepath.Join(data, "evidence")})
	if err != nil {
		return err
	}
	inspector, err := inspect.New(inspect.Config{Store: evidence, Key: []byte("key")})
	if err != nil {
		return err
	}
	defer inspector.Close()
	s, err := New(ctx, Config{
		Data: data, Listen: "127.0.0.1:0", Rules: []byte(table), Platforms: []string{"linux/amd64"}, Log: slog.New(slog.DiscardHandler), Tell: os.Stdout,
		Registries: oci.Registries{Keychain: authn.NewMultiKeychain(), Retries: -1},
		Gate: gate.New(gate.Config{
			Inspector: inspector, Advisories: advisory.OpenFolder(filepath.Join(data, "advisories")), Golden: golden.Open(filepath.Join(data, "golden.json")),
			Tool: "touchstone test", Now: time.Now,
		}),
	})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// TestNothingThatWasAnsweredIsLost kills a server again and again while it is
// called, starts it anew, and looks for everything that it has said yes to.
func TestNothingThatWasAnsweredIsLost(t *testing.T) {
	const rounds = 6
	data, host := filepath.Join(t.TempDir(), "data"), port(t)
	images := make([]string, rounds)
	for i := range images {
		images[i] = push(t, host, fmt.Sprintf("shop/cart%d:1", i), "1000")
	}
	var mu sync.Mutex
	tokens, freezes := map[string]bool{}, map[string]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		process, admin := spawn(t, data)
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for ctx.Err() == nil {
					if made, err := admin.MakeToken(ctx, api.TokenAsk{Name: "robot", Role: api.Viewer}); err == nil {
						mu.Lock()
						tokens[made.ID] = true
						mu.Unlock()
					}
					if made, err := admin.Freeze(ctx, touchstone.Freeze{Environments: []string{"prod"}, Until: time.Now().Add(time.Hour), Reason: "audit"}); err == nil {
						mu.Lock()
						freezes[made.ID] = true
						mu.Unlock()
					}
					_, _ = admin.Check(ctx, api.CheckAsk{Reference: images[round], Environment: "prod"}) // it may be killed meanwhile
				}
			})
		}
		time.Sleep(time.Duration(50+random.IntN(150)) * time.Millisecond) // somewhere in the middle
		check(t, process.Process.Kill())
		_ = process.Wait() // it was killed
		cancel()
		callers.Wait()
	}
	process, admin := spawn(t, data)
	found := map[string]bool{}
	for one, err := range api.All(func(p api.Paging) (*api.Page[api.Token], error) { return admin.Tokens(t.Context(), p) }) {
		check(t, err)
		found[one.ID] = true
	}
	for one, err := range api.All(func(p api.Paging) (*api.Page[touchstone.Freeze], error) { return admin.Freezes(t.Context(), p) }) {
		check(t, err)
		found[one.ID] = true
	}
	for _, all := range []map[string]bool{tokens, freezes} {
		if len(all) == 0 {
			t.Error("nothing was made before the server was killed")
		}
		for id := range all {
			if !found[id] {
				t.Errorf("%s was answered and is lost", id)
			}
		}
	}
	v, err := admin.VerifyLog(t.Context(), "")
	check(t, err)
	if !v.OK {
		t.Errorf("the log: %+v", v)
	}
	// What was being scanned when the server died is scanned now.
	limit := time.Now().Add(20 * time.Second)
	for _, image := range images {
		for {
			got, err := admin.Check(t.Context(), api.CheckAsk{Reference: image, Environment: "dev"})
			check(t, err)
			if got.Check != nil {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s is not scanned", image)
			}
			time.Sleep(20 * time.Millisecond) // another process scans
		}
	}
	check(t, process.Process.Signal(syscall.SIGTERM))
	check(t, process.Wait())
	t.Logf("%d tokens, %d freezes, %d entries", len(tokens), len(freezes), v.Entries)
}

// spawn starts a server as a process of its own, and waits until it answers.
func spawn(t *testing.T, data string) (*exec.Cmd, *api.Client) {
	t.Helper()
	_ = os.Remove(filepath.Join(data, addressFile)) // of the one before
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), dataVariable+"="+data)
	var said strings.Builder
	c.Stderr = &said
	check(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() }) // where the test has failed
	limit := time.Now().Add(20 * time.Second)
	for {
		base, err := Address(data)
		if err == nil && base != "" {
			carrier, err := api.Pinned(Authority(data))
			check(t, err)
			t.Cleanup(carrier.CloseIdleConnections)
			token, err := os.ReadFile(FirstToken(data))
			check(t, err)
			return c, &api.Client{Base: base, Token: strings.TrimSpace(string(token)), HTTP: carrier, Attempts: 1}
		}
		if time.Now().After(limit) {
			t.Fatalf("the server does not start: %s", said.String())
		}
		time.Sleep(2 * time.Millisecond) // another process starts
	}
}
