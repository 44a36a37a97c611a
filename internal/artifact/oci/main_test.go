package oci

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// registryProcess in the environment makes the test binary a registry, so that
// the tests speak to one in another process.
const registryProcess = "TOUCHSTONE_TEST_REGISTRY"

func TestMain(m *testing.M) {
	if os.Getenv(registryProcess) != "" {
		if err := serveRegistry(); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serveRegistry tells its address on standard output and ends with its input.
func serveRegistry() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = listener.Close()
	}()
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	server := http.Server{Handler: registry.New(quiet), ReadHeaderTimeout: time.Minute}
	_ = server.Serve(listener) // ends when the listener is closed
	return nil
}

// startRegistry starts a registry of its own process and returns its address.
func startRegistry(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), registryProcess+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the registry ended badly: %v", err)
		}
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}
