// Command demo is "make run": it makes two real images without Docker, judges
// them with the touchstone that was just built, sends both through the front door
// of a server, and shows what is printed.
//
// The images are touchstone itself alone on nothing, and an old Go program with
// known holes on an old base, which are found by the module proxy and beside the
// project. Everything lies in one folder, and nothing of the user's is touched.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"touchstone.dev/touchstone/internal/makeimage"
)

//go:embed records
var records embed.FS

// oldProgram was released in 2021 and is found at the module proxy for good.
const oldProgram = "github.com/cloudflare/cfssl/cmd/cfssl@v1.6.0"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		cancel()
		os.Exit(2) //nolint:gocritic // cancel was called
	}
}

// demo is one run of it.
type demo struct {
	out        io.Writer
	touchstone string // the program that was built
	folder     string
	rules      string
}

func run(ctx context.Context, out io.Writer) error {
	folder, err := filepath.Abs(filepath.Join(".cache", "run"))
	if err != nil {
		return err
	}
	program, err := filepath.Abs(filepath.Join("bin", "touchstone"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	d := &demo{out: out, touchstone: program, folder: folder, rules: filepath.Join(folder, "touchstone.yaml")}
	fresh, err := d.advisories(ctx)
	if err != nil {
		return err
	}
	if err := d.writeRules(ctx, fresh); err != nil {
		return err
	}
	self := filepath.Join(folder, "touchstone.tar")
	if err := writeImage(self, "registry.example/touchstone:today", program, "", "65532"); err != nil {
		return err
	}
	d.say("1. touchstone itself, alone on nothing")
	if err := d.judge(ctx, self, "registry.example/touchstone:today"); err != nil {
		return err
	}
	images := [][2]string{{self, "touchstone:today"}}
	old, base, err := d.oldImage(ctx)
	if err != nil {
		d.say("2. left out: an old program could not be built: %v", err)
	} else {
		d.say("2. cfssl 1.6.0 of 2021%s", base)
		if err := d.judge(ctx, old, "registry.example/pki/cfssl:1.6.0"); err != nil {
			return err
		}
		images = append(images, [2]string{old, "pki/cfssl:1.6.0"})
	}
	d.say("3. Both at the front door of a server: what was never seen is refused, and scanned by itself")
	return d.frontDoor(ctx, images)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, "\n"+format+"\n\n", args...) }

// command prepares touchstone with the demo's own folder.
func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, d.touchstone, append(args, "--data", filepath.Join(d.folder, "data"))...)
	c.Dir, c.Stderr = d.folder, os.Stderr
	return c
}

// advisories fills the index with what is at hand, and tells whether it is
// today's.
func (d *demo) advisories(ctx context.Context) (fresh bool, err error) {
	short, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	update := d.command(short, "db", "update", "Go", "Alpine", "--epss", "-", "--quiet")
	update.Stderr = io.Discard
	if err := update.Run(); err == nil {
		d.say("Advisories: fetched just now (Go, Alpine, CISA's known exploited).")
		return true, nil
	}
	shared := filepath.Join("..", "shared", "data")
	if _, err := os.Stat(shared); err == nil {
		shared, err = filepath.Abs(shared)
		if err != nil {
			return false, err
		}
		d.say("Advisories: no network, so those beside the project (%s).", filepath.Join("..", "shared", "data"))
		return false, d.load(ctx, filepath.Join(shared, "osv"), filepath.Join(shared, "cve"), filepath.Join(shared, "kev.json"))
	}
	d.say("Advisories: no network, so a few that come with the project: an example, not what is known today.")
	dir := filepath.Join(d.folder, "records")
	if err := unpack(records, dir); err != nil {
		return false, err
	}
	return false, d.load(ctx, dir)
}

func (d *demo) load(ctx context.Context, paths ...string) error {
	c := d.command(ctx, append([]string{"db", "import", "--quiet"}, paths...)...)
	c.Stderr = nil
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("importing advisories: %w\n%s", err, out)
	}
	return nil
}

func unpack(from fs.FS, dir string) error {
	return fs.WalkDir(from, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.Base(path))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}

// writeRules writes the example rules; with old advisories the row about their
// age would refuse everything, so it is left out then.
func (d *demo) writeRules(ctx context.Context, fresh bool) error {
	out, err := d.command(ctx, "rules", "example").Output()
	if err != nil {
		return fmt.Errorf("reading the example rules: %w", err)
	}
	if !fresh {
		d.say("The rule stale-advisories is left out of the example rules, because these advisories are old.")
		if out, err = withoutStale(out); err != nil {
			return err
		}
	}
	place := "places:\n  - {namespace: " + namespace + ", environment: test, owner: team-shop}\n"
	return os.WriteFile(d.rules, bytes.Replace(out, []byte("places:\n"), []byte(place), 1), 0o644)
}

// withoutStale has the row stale-advisories allow any age.
func withoutStale(rules []byte) ([]byte, error) {
	lines := strings.Split(string(rules), "\n")
	found := false
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "stale-advisories:") {
			indent, _, _ := strings.Cut(line, "stale-advisories:")
			lines[i], found = indent+"stale-advisories: {others: any}", true
		}
	}
	if !found {
		return nil, errors.New("the example rules have no row stale-advisories on a line of its own")
	}
	out := []byte(strings.Join(lines, "\n"))
	var doc any
	if err := yaml.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("leaving stale-advisories out: %w", err)
	}
	return out, nil
}

// judge shows the whole road, then why prod says what it says.
func (d *demo) judge(ctx context.Context, file, name string) error {
	for _, env := range []string{"dev", "prod"} {
		args := []string{"check", filepath.Base(file), "--as", name, "--rules", d.rules, "--env", env}
		fmt.Fprintf(d.out, "$ touchstone check %s --as %s --env %s\n", filepath.Base(file), name, env)
		c := d.command(ctx, args...)
		c.Stdout = d.out
		err := c.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		fmt.Fprintf(d.out, "(exit code %d)\n\n", c.ProcessState.ExitCode())
		if code := c.ProcessState.ExitCode(); code > 1 {
			return fmt.Errorf("touchstone could not decide about %s (exit code %d)", name, code)
		}
	}
	return nil
}

// oldImage builds the old program and puts it on an old base, if one is at hand.
func (d *demo) oldImage(ctx context.Context) (file, base string, err error) {
	program := filepath.Join(d.folder, "cfssl")
	if _, err := os.Stat(program); err != nil {
		d.say("Building %s …", oldProgram)
		c := exec.CommandContext(ctx, "go", "install", oldProgram)
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+d.folder, "GOFLAGS=-buildvcs=false")
		c.Dir = d.folder
		if out, err := c.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("%w\n%s", err, out)
		}
	}
	var under string
	bases, err := filepath.Glob(filepath.Join("..", "shared", "data", "images", "alpine-minirootfs-3.12.*.tar.gz"))
	if err == nil && len(bases) > 0 {
		under, base = bases[0], ", on Alpine 3.12"
	}
	file = filepath.Join(d.folder, "cfssl.tar")
	return file, base, writeImage(file, "registry.example/pki/cfssl:1.6.0", program, under, "")
}

// writeImage writes a docker archive of a program, alone or on a base.
func writeImage(file, ref, program, base, user string) error {
	var layers []makeimage.Layer
	if base != "" {
		l, err := makeimage.Tarball("ADD "+filepath.Base(base)+" /", base)
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	path := "usr/bin/" + filepath.Base(program)
	l, err := makeimage.Files("COPY "+filepath.Base(program)+" /usr/bin/", makeimage.File{Path: path, Mode: 0o755, Data: data})
	if err != nil {
		return err
	}
	im, err := makeimage.Build(makeimage.Image{
		Layers: append(layers, l), Created: time.Now().UTC().Truncate(time.Second),
		Config: v1.Config{Entrypoint: []string{"/" + path}, User: user},
	})
	if err != nil {
		return err
	}
	return makeimage.WriteArchive(file, ref, im)
}
