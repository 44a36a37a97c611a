// Command ownimage makes touchstone's own image from the built program: from
// scratch, with nothing inside but that one static file, and a user that is not
// root. The same program gives the same image, byte by byte.
//
//	ownimage -program bin/touchstone -o bin/touchstone-image.tar
//	ownimage -program bin/touchstone -push registry.example/touchstone:1.2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"touchstone.dev/touchstone/internal/makeimage"
)

// user is the one that the image runs as; no name goes with it.
const user = "65532:65532"

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ownimage:", err)
		os.Exit(64)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("ownimage", flag.ContinueOnError)
	program := f.String("program", "bin/touchstone", "the built program, static")
	archive := f.String("o", "", "write a docker archive here")
	push := f.String("push", "", "push to this reference, with the credentials of the docker configuration")
	tag := f.String("tag", "touchstone:latest", "what the archive calls the image")
	platform := f.String("platform", "linux/amd64", "what the program was built for")
	created := f.String("created", "", "the image's moment of building (RFC 3339); the commit's, so that builds can be compared")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *archive == "" && *push == "" {
		return errors.New("nothing to do\nhint: -o FILE or -push REFERENCE")
	}
	im, err := image(*program, *platform, *created)
	if err != nil {
		return err
	}
	digest, err := im.Digest()
	if err != nil {
		return err
	}
	if *archive != "" {
		if err := makeimage.WriteArchive(*archive, *tag, im); err != nil {
			return fmt.Errorf("writing %s: %w", *archive, err)
		}
		fmt.Fprintf(stdout, "%s %s\n", *archive, digest)
	}
	if *push == "" {
		return nil
	}
	ref, err := name.ParseReference(*push)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, im, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("pushing %s: %w", *push, err)
	}
	fmt.Fprintf(stdout, "%s@%s\n", ref.Context().Name(), digest)
	return nil
}

func image(program, platform, created string) (v1.Image, error) {
	var at time.Time
	if created != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, created); err != nil {
			return nil, fmt.Errorf("-created: %w", err)
		}
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	layer, err := makeimage.Files("COPY touchstone /touchstone", makeimage.File{Path: "touchstone", Mode: 0o755, Data: data})
	if err != nil {
		return nil, err
	}
	return makeimage.Build(makeimage.Image{
		Layers: []makeimage.Layer{layer}, Created: at, Platform: platform,
		Config: v1.Config{
			User: user, Entrypoint: []string{"/touchstone"}, Cmd: []string{"serve"},
			Env:    []string{"TOUCHSTONE_DATA=/data", "TMPDIR=/data/tmp"},
			Labels: map[string]string{"org.opencontainers.image.title": "touchstone"},
		},
	})
}
