// Command touchstone decides what software may run where. See package cli for
// its commands and exit codes.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // an image from scratch has no certificates of its own

	"touchstone.dev/touchstone/internal/cli"
)

func main() {
	boundMemory()
	ctx, stop := interruptible()
	code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}
