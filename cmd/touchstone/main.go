// Command touchstone decides what software may run where. See package cli for
// its commands and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"touchstone.dev/touchstone/internal/cli"
)

// memory is what the garbage collector tries to stay below. It costs nothing
// where an artifact is ordinary, and keeps hostile ones from taking twice of what
// is really used.
const memory = 320 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}
