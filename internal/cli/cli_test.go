package cli

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"touchstone.dev/touchstone/internal/makeimage"
	"touchstone.dev/touchstone/internal/server"
)

// noon is the moment at which every script runs, but those with a server, which set
// REALCLOCK: certificates are looked at by the machine's clock.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"touchstone": func() {
			p := &program{
				stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
				now: func() time.Time { return noon },
			}
			if os.Getenv("REALCLOCK") != "" {
				p.now = time.Now
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			code := p.run(ctx, os.Args[1:])
			stop()
			os.Exit(code)
		},
	})
}

var update = flag.Bool("update", false, "rewrite the scripts with what the program prints")

// TestScripts runs the command line as people do. Each script has a data folder
// and a registry of its own.
//
//	mkimage [-user U] [-env K=V] [-history TEXT] [-created DATE] [-push] OUT DIR…
//
// makes an image of one layer for each folder: a docker archive OUT, or with
// -push the name OUT in the script's registry, $REGISTRY.
//
//	ready            waits until the server of the data folder answers
//	capture VAR RE   sets a variable to the first group of RE in the last stdout
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			env.Defer(server.Close)
			env.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
			env.Setenv("TOUCHSTONE_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("TOUCHSTONE_QUIET", "true")
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("TZ", "UTC")
			env.Setenv("HOSTILE", "red\x1b[31m\u202e")
			env.Setenv("TODAY", time.Now().UTC().Format(time.DateOnly))
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "tmp"))
			return os.Mkdir(filepath.Join(env.WorkDir, "tmp"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mkimage": mkimage, "exits": exits, "damage": damage, "keepsnot": keepsNot, "ready": ready, "capture": capture},
	})
}

func mkimage(ts *testscript.TestScript, _ bool, args []string) {
	f := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	user := f.String("user", "", "")
	env := f.String("env", "", "")
	history := f.String("history", "COPY . /", "")
	created := f.String("created", "2026-11-20", "")
	entrypoint := f.String("entrypoint", "", "")
	push := f.Bool("push", false, "")
	ts.Check(f.Parse(args))
	when, err := time.Parse(time.DateOnly, *created)
	ts.Check(err)
	im := makeimage.Image{Created: when, Config: v1.Config{User: *user}}
	if *env != "" {
		im.Config.Env = []string{*env}
	}
	if *entrypoint != "" {
		im.Config.Entrypoint = strings.Fields(*entrypoint)
	}
	for _, dir := range f.Args()[1:] {
		l, err := makeimage.Folder(*history, ts.MkAbs(dir))
		ts.Check(err)
		im.Layers = append(im.Layers, l)
	}
	built, err := makeimage.Build(im)
	ts.Check(err)
	out := f.Arg(0)
	if !*push {
		ts.Check(makeimage.WriteArchive(ts.MkAbs(out), "registry.example/"+strings.TrimSuffix(filepath.Base(out), ".tar"), built))
		return
	}
	ref, err := name.ParseReference(out)
	ts.Check(err)
	ts.Check(remote.Write(ref, built))
}

// exits runs a command and checks its exact exit code: exits CODE COMMAND….
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// damage overwrites the last three quarters of every index below a folder.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	found := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(e.Name(), "index") {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() < 100 {
			return err
		}
		found++
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, int(info.Size()*3/4)), info.Size()/4)
		return err
	}))
	if found == 0 {
		ts.Fatalf("no index below %s", args[0])
	}
}

// keepsNot checks that no file below a folder holds the text.
func keepsNot(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(args[1])) {
			ts.Fatalf("%s holds %q", path, args[1])
		}
		return err
	}))
}

// ready waits until the server of the script's data folder answers.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	var problem error
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		var address string
		if address, problem = server.Address(ts.Getenv("TOUCHSTONE_DATA")); problem != nil {
			continue
		}
		var c net.Conn
		if c, problem = net.Dial("tcp", strings.TrimPrefix(address, "https://")); problem == nil {
			ts.Setenv("SERVER", address)
			c.Close()
			return
		}
	}
	ts.Fatalf("no server answers: %v", problem)
}

// capture sets a variable to what a pattern finds in the last standard output.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("nothing fits %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}
