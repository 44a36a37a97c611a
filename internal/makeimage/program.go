package makeimage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Program builds a Go program that needs nothing else in an image, writes it to the
// path, and returns what is there. The package is named as for "go build".
func Program(ctx context.Context, path, pkg string) ([]byte, error) {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", pkg, err, said)
	}
	return os.ReadFile(path)
}
