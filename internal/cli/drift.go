package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact/reference"
	"touchstone.dev/touchstone/internal/drift"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/guard"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/manifest"
)

func (p *program) driftCommand() *cobra.Command {
	var socket, format, from string
	var host bool
	c := &cobra.Command{
		Use:   "drift CONTAINER | dir:PATH",
		Short: "What differs from its image, now: in a container that the guard watches, or in a folder",
		Long: `What differs from its image, now. A container is named by its id, the beginning of
it, or as namespace/pod/container, and is compared by the guard of this machine. A
folder is compared here, with the image that --from names.

A difference is told by content: touching, copying or linking a file is none.`,
		Example: `  touchstone drift shop/cart-5d8f7/cart
  touchstone drift dir:/mnt/rootfs --from registry.example/shop/cart:1.4
  touchstone drift dir:/ --host --from registry.example/base/debian-vm:12`,
		Args: exactly(1, "a container or a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "table" && format != "json" {
				return fmt.Errorf("-o %s: there is no such output format\nhint: table, json", format)
			}
			if folder, ok := strings.CutPrefix(args[0], "dir:"); ok {
				return p.driftFolder(cmd.Context(), folder, from, format, host)
			}
			return outside(guard.Local{Socket: socket}.Drift(cmd.Context(), args[0], format == "table", p.stdout))
		},
	}
	c.Flags().StringVar(&socket, "socket", filepath.Join("/run/touchstone", guard.SocketName), "the guard's socket")
	c.Flags().StringVarP(&format, "output", "o", "table", "output format: table, json")
	c.Flags().StringVar(&from, "from", "", "the image that a folder is compared with")
	c.Flags().BoolVar(&host, "host", false, "the folder is the root of a machine: what the kernel makes up is left out, and where files come and go only executables count")
	return c
}

// driftFolder compares a folder with an image.
func (p *program) driftFolder(ctx context.Context, folder, from, format string, host bool) error {
	if from == "" {
		return errors.New("a folder is compared with an image, and none is named\nhint: --from REF")
	}
	return p.withInspector(func(in *inspect.Inspector) error {
		g := gate.New(gate.Config{Inspector: in, Advisories: p.advisories(), Tool: tool(), Now: p.now})
		all, err := g.Inspect(ctx, from, reference.Options{})
		if err != nil {
			return err
		}
		if len(all) != 1 || all[0].Evidence == nil {
			return outside(fmt.Errorf("%s could not be inspected as one image: %s", from, all[0].Problem))
		}
		mapping, err := in.Manifest(all[0].Evidence)
		if err != nil {
			return outside(err)
		}
		defer mapping.Close()
		r, err := manifest.Open(mapping.Bytes())
		if err != nil {
			return outside(err)
		}
		config := drift.Config{Manifest: r, Now: p.now}
		if host {
			config.Writable, config.Skip = drift.Patterns(drift.HostWritable()), drift.Patterns(drift.HostSkipped())
		}
		sc, err := drift.NewScanner(drift.Tree{Form: drift.Folder, Path: folder}, config)
		if err != nil {
			return err
		}
		defer sc.Close()
		p.progress.clear()
		report := drift.NewText(p.stdout)
		if format == "json" {
			report = drift.NewJSON(p.stdout, touchstone.DriftReport{Tool: tool(), At: p.now(), What: "dir:" + folder, Artifact: all[0].Artifact})
		}
		sum, err := sc.Scan(ctx, report.Take)
		if err == nil {
			err = report.Close(sum)
		}
		return outside(err)
	})
}
