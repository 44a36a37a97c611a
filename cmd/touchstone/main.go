// Command touchstone decides what software may run where. See package cli for
// its commands and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"touchstone.dev/touchstone/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}
