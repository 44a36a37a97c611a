package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/makeimage"
)

// need skips the test unless the programs are installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed; as root, .ci/prepare installs what Debian has", p)
		}
	}
}

// needRoot skips the test unless root runs it.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may do this: " + why)
	}
}

// shared returns the path of data that lies beside the project.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	p := filepath.Join(append([]string{"..", "..", "..", "shared", "data"}, path...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("the data beside the project is missing: %v", err)
	}
	return p
}

// cached returns a file or folder of .cache/trial, and has it made when it is not
// there. Only what was made whole gets its name; several tests and processes may
// ask for it at once. When it cannot be made (no network, say), the test is
// skipped.
func cached(t *testing.T, file string, create func(to string) error) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "trial"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, file)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Skipf("%s cannot be kept: %v", file, err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Skipf("%s cannot be kept: %v", file, err)
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil { // another was quicker
		return path
	}
	part := filepath.Join(filepath.Dir(path), "part-"+filepath.Base(path)) // tools tell the format by how a name ends
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	if err := create(part); err != nil {
		t.Skipf("%s cannot be made here: %v", file, err)
	}
	if err := os.Rename(part, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// output runs a program and returns what it writes to standard output.
func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", c, err, stderr.String())
	}
	return string(out)
}

// image makes an image of layers.
func image(t *testing.T, im makeimage.Image) v1.Image {
	t.Helper()
	built, err := makeimage.Build(im)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// folder makes a layer of what lies in a folder, below at.
func folder(t *testing.T, createdBy, dir, at string) makeimage.Layer {
	t.Helper()
	root := t.TempDir()
	to := filepath.Join(root, at)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("cp", "-a", dir, to).Run(); err != nil {
		t.Fatalf("copying %s: %v", dir, err)
	}
	l, err := makeimage.Folder(createdBy, root)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// program makes a layer of one program in usr/bin.
func program(t *testing.T, path string) makeimage.Layer {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := makeimage.Files("COPY "+filepath.Base(path)+" /usr/bin/",
		makeimage.File{Path: "usr/bin/" + filepath.Base(path), Mode: 0o755, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tarred makes a layer of a tar, compressed or not.
func tarred(t *testing.T, createdBy, path string) makeimage.Layer {
	t.Helper()
	l, err := makeimage.Tarball(createdBy, path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// archive writes an image as a docker archive.
func archive(t *testing.T, im v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := makeimage.WriteArchive(path, "registry.example/trial/image:1", im); err != nil {
		t.Fatal(err)
	}
	return path
}
