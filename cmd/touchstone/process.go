package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"touchstone.dev/touchstone/internal/cli"
)

const (
	// memory is what the garbage collector tries to stay below. It costs nothing
	// where an artifact is ordinary, and keeps hostile ones from taking twice of
	// what is really used.
	memory = 320 << 20
	// patience is how long what was interrupted may take to tidy up. What waits
	// for a pipe that nobody writes to never hears of it.
	patience = 10 * time.Second
)

// boundMemory sets the limit, unless whoever runs the process has set one.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
}

// interruptible returns a context that ends with the first signal. The second
// ends the process at once, and so does time.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop()
		time.Sleep(patience)
		os.Exit(cli.ExitUndecided)
	})
	return ctx, stop
}
