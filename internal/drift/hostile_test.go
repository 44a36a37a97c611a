package drift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
	"touchstone.dev/touchstone/internal/unprivileged"
)

// must stops the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// told scans and returns what is so, shortly: "added a", "gap failed b".
func told(t testing.TB, s *Scanner) []string {
	t.Helper()
	out, _ := toldBy(t, s)
	return out
}

func toldBy(t testing.TB, s *Scanner) ([]string, Summary) {
	t.Helper()
	out := []string{}
	sum, err := s.Scan(context.Background(), func(f Finding) error {
		switch {
		case f.Gap != nil:
			out = append(out, fmt.Sprintf("gap %s %s", f.Gap.Kind, f.Gap.Path))
		case f.News == Gone:
			out = append(out, fmt.Sprintf("gone %s", f.Drift.Path))
		default:
			out = append(out, fmt.Sprintf("%s %s", f.Drift.Change, f.Drift.Path))
		}
		return nil
	})
	must(t, err)
	return out, sum
}

func wantTold(t testing.TB, s *Scanner, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, told(t, s)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// contents is a set of content.
type contents map[string]bool

func (c contents) Has(size int64, sum [32]byte) bool { return c[fmt.Sprintf("%d %x", size, sum)] }

func (c contents) HasSize(size int64) bool {
	for k := range c {
		if strings.HasPrefix(k, fmt.Sprintf("%d ", size)) {
			return true
		}
	}
	return false
}

func (c contents) add(content string) contents {
	c[fmt.Sprintf("%d %x", len(content), sha256.Sum256([]byte(content)))] = true
	return c
}

func TestVolume(t *testing.T) {
	dir := t.TempDir()
	known, other := "#!/bin/sh\necho a\n", "#!/bin/sh\necho b\n"
	for name, content := range map[string]string{
		"data": "some data", "known": known, "other": other, "empty": "", "marked": "x", "rust": "#![no_std]\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "marked"), 0o755), os.Chmod(filepath.Join(dir, "empty"), 0o755), os.Mkdir(filepath.Join(dir, "lib"), 0o755),
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o755),
		os.WriteFile(filepath.Join(dir, "lib", "new"), []byte("#! /usr/bin/python\n"), 0o600))
	s := newScanner(t, Tree{Form: Volume, Path: dir, Mount: "srv/data"}, Config{Contents: contents{}.add(known)})
	wantTold(t, s, "added srv/data/lib/new", "added srv/data/marked", "added srv/data/other")
	var volume string
	_, err := s.Check(t.Context(), func(f Finding) error { volume = f.Drift.Volume; return nil }, "srv/data/other", "srv/database/x", "etc")
	must(t, err)
	if volume != "srv/data" {
		t.Errorf("the volume is %q", volume)
	}
	must(t, os.WriteFile(filepath.Join(dir, "other"), []byte(known), 0o644))
	wantTold(t, s, "added srv/data/lib/new", "added srv/data/marked", "gone srv/data/other")
}

func TestVolumeOfOneFile(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "in"), 0o755), os.WriteFile(filepath.Join(dir, "in", "source"), []byte("#!/bin/sh\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "in", "beside"), []byte("#!/bin/sh\n"), 0o644))
	for _, tree := range []Tree{
		{Form: Volume, Path: filepath.Join(dir, "in", "source"), Mount: "etc/start"},
		{Form: Volume, Path: dir, Inside: "/in/source", Mount: "/etc/start"},
	} {
		wantTold(t, newScanner(t, tree, Config{}), "added etc/start")
	}
}

func TestInsideStaysInside(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(root, "real"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("#!x"), 0o755), os.WriteFile(filepath.Join(root, "real", "x"), []byte("#!x"), 0o755),
		os.Symlink("../outside", filepath.Join(root, "up")), os.Symlink("/real", filepath.Join(root, "across")))
	_, err := newScanner(t, Tree{Form: Volume, Path: root, Inside: "up", Mount: "up"}, Config{}).Scan(t.Context(), func(Finding) error { return nil })
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("a link out of the root: %v", err)
	}
	wantTold(t, newScanner(t, Tree{Form: Volume, Path: root, Inside: "across", Mount: "across"}, Config{}), "added across/x")
}

func TestWritablePlaces(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "var", "log"), 0o755), os.WriteFile(filepath.Join(dir, "var", "log", "kept"), []byte("a"), 0o644),
		os.WriteFile(filepath.Join(dir, "var", "log", "tool"), []byte("#!/bin/a"), 0o755), os.WriteFile(filepath.Join(dir, "var", "x"), nil, 0o644))
	m := manifestOf(t, list(t, dir))
	s := newScanner(t, Tree{Form: Folder, Path: dir}, Config{Manifest: m, Writable: Patterns([]string{"/var/log"})})
	wantTold(t, s)
	must(t, os.Remove(filepath.Join(dir, "var", "log", "kept")), os.WriteFile(filepath.Join(dir, "var", "log", "new"), []byte("b"), 0o644),
		os.WriteFile(filepath.Join(dir, "var", "log", "tool"), []byte("#!/bin/b"), 0o755), os.Chmod(filepath.Join(dir, "var", "log"), 0o700),
		os.Remove(filepath.Join(dir, "var", "x")))
	wantTold(t, s, "changed var/log/tool", "removed var/x")
}

func TestMountPoints(t *testing.T) {
	upper := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(upper, "var", "run", "secrets"), 0o755), os.Mkdir(filepath.Join(upper, "etc"), 0o755),
		os.WriteFile(filepath.Join(upper, "etc", "hosts"), nil, 0o755), os.WriteFile(filepath.Join(upper, "etc", "hostname"), []byte("x"), 0o755),
		os.Mkdir(filepath.Join(upper, "proc"), 0o555))
	m := manifestOf(t, listed{"etc": {Kind: manifest.Dir, Mode: 0o755}})
	s := newScanner(t, Tree{Path: upper}, Config{Manifest: m, MountPoints: []string{"/proc", "etc/hosts", "etc/hostname", "/var/run/secrets/"}})
	wantTold(t, s, "added etc/hostname")
}

// TestMarksByHand makes the marks of an overlay as the kernel and other programs
// write them, in both namespaces.
func TestMarksByHand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("attributes of the namespace trusted need root")
	}
	file := manifest.Entry{Kind: manifest.Regular, Mode: 0o644, Size: 1, Hashed: true, SHA256: sha256.Sum256([]byte("a")), UID: os.Getuid(), GID: os.Getgid()}
	folder := manifest.Entry{Kind: manifest.Dir, Mode: 0o755}
	m := manifestOf(t, listed{"d": folder, "d/x": file, "e": folder, "e/y": file, "f": file, "g": file, "h": folder, "h/z": file})
	for _, prefix := range []string{"trusted.", "user."} {
		t.Run(prefix, func(t *testing.T) {
			upper := t.TempDir()
			names := marksOf(&Tree{UserXattr: prefix == "user."})
			mark := func(name string, mark mark, value string) {
				must(t, unix.Setxattr(filepath.Join(upper, name), names[mark], []byte(value), 0))
			}
			must(t, unix.Mknod(filepath.Join(upper, "f"), unix.S_IFCHR, 0), os.WriteFile(filepath.Join(upper, "g"), nil, 0o644),
				os.Mkdir(filepath.Join(upper, "d"), 0o755), os.Mkdir(filepath.Join(upper, "e"), 0o755), os.Mkdir(filepath.Join(upper, "i"), 0o755),
				unix.Mknod(filepath.Join(upper, "h"), unix.S_IFCHR, 0), os.WriteFile(filepath.Join(upper, "j"), []byte{0}, 0o600))
			mark("g", markWhiteout, "y")
			mark("d", markOpaque, "y")
			mark("e", markOpaque, "x") // holds whiteouts that are files: not opaque
			mark("i", markRedirect, "/h")
			mark("j", markMetacopy, "")
			mark("j", markRedirect, "/d/x")
			s := newScanner(t, Tree{Path: upper, UserXattr: prefix == "user."}, Config{Manifest: m})
			wantTold(t, s, "removed d/x", "removed f", "removed g", "removed h", "removed h/z", "added i", "added i/z", "added j")
			_, err := s.Check(t.Context(), func(f Finding) error {
				if f.Drift.Have.SHA256 != touchstone.NewDigest(file.SHA256[:]) || f.Drift.Have.Size != 1 {
					t.Errorf("the content is %s, %d bytes", f.Drift.Have.SHA256, f.Drift.Have.Size)
				}
				return nil
			}, "j")
			must(t, err)

			// In the other namespace they are a container's own, and mean nothing.
			s = newScanner(t, Tree{Path: upper, UserXattr: prefix != "user."}, Config{Manifest: m})
			wantTold(t, s, "removed f", "changed g", "removed h", "removed h/z", "added i", "added j")
		})
	}
}

func TestMarksThatLie(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("attributes of the namespace trusted need root")
	}
	upper := t.TempDir()
	m := manifestOf(t, listed{"d": {Kind: manifest.Dir, Mode: 0o755}})
	for name, value := range map[string]string{"a": "", "b": "/", "c": "/../x", "e": "..", "f": "x/y", "g": "/d//x"} {
		must(t, os.Mkdir(filepath.Join(upper, name), 0o755), unix.Setxattr(filepath.Join(upper, name), marksOf(&Tree{})[markRedirect], []byte(value), 0))
	}
	must(t, os.WriteFile(filepath.Join(upper, "m"), []byte("x"), 0o644), unix.Setxattr(filepath.Join(upper, "m"), marksOf(&Tree{})[markMetacopy], nil, 0))
	s := newScanner(t, Tree{Path: upper}, Config{Manifest: m})
	wantTold(t, s, "added a", "gap failed a", "added b", "gap failed b", "added c", "gap failed c", "added e", "gap failed e",
		"added f", "gap failed f", "added g", "gap failed g", "gap failed m")
}

// TestIndexedLinks has an overlay that keeps hard links of lower layers together:
// a write to one shows under the other, and the upper directory has only one.
func TestIndexedLinks(t *testing.T) {
	needOverlay(t)
	dir := t.TempDir()
	lower := filepath.Join(dir, "lower")
	must(t, os.Mkdir(lower, 0o755), os.WriteFile(filepath.Join(lower, "a"), []byte("x"), 0o644), os.Link(filepath.Join(lower, "a"), filepath.Join(lower, "b")))
	o := &overlay{lowers: []string{lower}, options: ",index=on"}
	o.mount(t, dir)
	defer o.unmount()
	m := manifestOf(t, list(t, o.merged))
	must(t, os.WriteFile(filepath.Join(o.merged, "a"), []byte("y"), 0o644))
	if content, _ := os.ReadFile(filepath.Join(o.merged, "b")); string(content) != "y" {
		t.Skip("this kernel does not keep them together")
	}
	s := newScanner(t, Tree{Path: o.upper}, Config{Manifest: m})
	for range 2 {
		wantTold(t, s, "gap unsupported a", "changed a")
	}
}

func TestOddNames(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("n", 255)
	names := []string{"\n", "\x01", "-rf", "a\\b", "\xff\xfe", long, "é", "✓"}
	for _, n := range names {
		must(t, os.WriteFile(filepath.Join(dir, n), []byte(n), 0o644))
	}
	m := manifestOf(t, list(t, dir))
	s := newScanner(t, Tree{Form: Folder, Path: dir}, Config{Manifest: m})
	wantTold(t, s)
	want := []string{}
	for _, n := range names {
		must(t, os.WriteFile(filepath.Join(dir, n), []byte("X"), 0o644))
		want = append(want, "changed "+n)
	}
	slices.Sort(want)
	got := told(t, s)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDeepFolders goes beyond PATH_MAX and the folders that are kept open.
func TestDeepFolders(t *testing.T) {
	dir := t.TempDir()
	const deep = 300
	name := strings.Repeat("d", 40)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for i := range deep {
		must(t, unix.Mkdirat(fd, name, 0o755))
		f, err := unix.Openat(fd, "z", unix.O_CREAT|unix.O_WRONLY, 0o644) // sorts behind the folder
		must(t, err, unix.Close(f))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err, unix.Close(fd))
		fd = next
		_ = i
	}
	must(t, unix.Close(fd))
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{})})
	got := told(t, s)
	if len(got) != 2*deep {
		t.Fatalf("%d differences, want %d: %q", len(got), 2*deep, got[len(got)-1])
	}
	sum, err := s.Check(t.Context(), func(Finding) error { return nil }, strings.Repeat(name+"/", deep-1)+"z")
	must(t, err)
	if sum.Known != 1 {
		t.Errorf("a check of the deepest file: %+v", sum)
	}
}

func TestEndlessDepth(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range maxDepth + 10 {
		must(t, unix.Mkdirat(fd, "d", 0o755))
		next, err := unix.Openat(fd, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
	_, sum := toldBy(t, newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{})}))
	if sum.Gaps != 1 || sum.New != maxDepth {
		t.Errorf("%+v", sum)
	}
}

// TestManyNames has a folder with more names than are held at a time, beside others.
func TestManyNames(t *testing.T) {
	dir := t.TempDir()
	want := []string{"added d"}
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	for i := range 500 {
		name := fmt.Sprintf("%04d", i)
		must(t, os.WriteFile(filepath.Join(dir, "d", name), nil, 0o644))
		want = append(want, "added d/"+name)
	}
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{})})
	s.room = 300
	wantTold(t, s, want...)
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	for i := range 3000 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i*7%3000)), nil, 0o644))
	}
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	for _, room := range []int{1, 100, 1000, 1 << 20} {
		first, got, more := "00010", []string{}, true
		for more && len(got) < 60 {
			var names []string
			names, more, err = readNames(fd, first, room, make([]byte, 1024), func() error { return nil })
			must(t, err)
			got = append(got, names...)
			first = got[len(got)-1] + "\x00"
		}
		for i, n := range got {
			if n != fmt.Sprintf("%05d", i+10) {
				t.Fatalf("room %d: name %d is %s", room, i, n)
			}
		}
	}
}

// TestSpecialFiles must not hang.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644), unix.Mknod(filepath.Join(dir, "socket"), unix.S_IFSOCK|0o644, 0), os.Symlink("pipe", filepath.Join(dir, "to-pipe")))
	wantTold(t, newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{"socket": {Kind: manifest.Regular}})}),
		"added pipe", "removed socket", "added to-pipe")
}

func TestHugeSparseFile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "huge"))
	must(t, err, f.Truncate(1<<40), f.Close())
	wanted := manifest.Entry{Kind: manifest.Regular, Mode: 0o644, Size: 5, Hashed: true, UID: os.Getuid(), GID: os.Getgid()}
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{"huge": wanted})})
	got, sum := toldBy(t, s)
	if len(got) != 1 || got[0] != "changed huge" || sum.Bytes > 4096 {
		t.Errorf("%q, %+v", got, sum)
	}
	// Without a SHA-256 in the manifest, an equal size is not enough.
	wanted.Size, wanted.Hashed = 1<<40, false
	s = newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{"huge": wanted})})
	for range 2 {
		wantTold(t, s, "gap unsupported huge")
	}
	wanted.Mode = 0o600
	wantTold(t, newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{"huge": wanted})}), "changed huge")
}

// TestUnreadable says what may not be read.
func TestUnreadable(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "closed"), 0o755), os.WriteFile(filepath.Join(dir, "closed", "x"), []byte("a"), 0o644),
		os.WriteFile(filepath.Join(dir, "f"), []byte("a"), 0o644), os.WriteFile(filepath.Join(dir, "g"), []byte("a"), 0o644))
	must(t, os.Chmod(filepath.Join(dir, "closed"), 0), os.Chmod(filepath.Join(dir, "f"), 0o200), os.Chmod(filepath.Join(dir, "g"), 0o200))
	defer os.Chmod(filepath.Join(dir, "closed"), 0o755)
	me := manifest.Entry{Kind: manifest.Regular, Mode: 0o200, Size: 1, Hashed: true, UID: os.Getuid(), GID: os.Getgid()}
	other := me
	other.Size = 2
	closed := manifest.Entry{Kind: manifest.Dir, UID: me.UID, GID: me.GID}
	m := manifestOf(t, listed{"closed": closed, "closed/x": me, "f": me, "g": other})
	s := newScanner(t, Tree{Form: Folder, Path: dir}, Config{Manifest: m})
	for range 2 {
		wantTold(t, s, "gap failed closed", "gap failed f", "changed g")
	}
}

// TestWhatEndsAScan keeps what was told, and goes on with the rest.
func TestWhatEndsAScan(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"a", "b", "c", "d"} {
		must(t, os.WriteFile(filepath.Join(dir, n), []byte(n), 0o644))
	}
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{})})
	errEnough := errors.New("enough")
	var news []string
	for range 4 {
		n := 0
		_, err := s.Scan(t.Context(), func(f Finding) error {
			if f.News != New {
				return nil
			}
			if n++; n > 1 {
				return errEnough
			}
			news = append(news, f.Drift.Path)
			return nil
		})
		if len(news) < 4 != errors.Is(err, errEnough) {
			t.Fatalf("%v after %q", err, news)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, news); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Scan(cancelled, func(Finding) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a scan that was cancelled: %v", err)
	}
	wantTold(t, s, "added a", "added b", "added c", "added d")
}

func TestTimeIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
	}
	now := time.Now()
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{}), Time: 30 * time.Second,
		Now: func() time.Time { now = now.Add(time.Second); return now }})
	total := 0
	for scans := 1; ; scans++ {
		got, sum := toldBy(t, s)
		total += sum.New
		if sum.Complete {
			if scans < 3 || total != 100 {
				t.Errorf("%d scans found %d", scans, total)
			}
			return
		}
		if !strings.HasPrefix(got[len(got)-1], "gap limit ") {
			t.Fatalf("a scan that was cut off ends with %q", got[len(got)-1])
		}
		if scans > 50 {
			t.Fatal("it does not get on")
		}
	}
}

func TestOwnersAreMapped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	dir := t.TempDir()
	for name, id := range map[string]int{"mapped": 100_000, "user": 101_000, "stray": 5} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644), os.Lchown(filepath.Join(dir, name), id, id))
	}
	e := manifest.Entry{Kind: manifest.Regular, Mode: 0o644, Hashed: true, SHA256: sha256.Sum256(nil)}
	user := e
	user.UID, user.GID = 1000, 1000
	ids := []IDRange{{Inside: 0, Outside: 100_000, Length: 65_536}}
	wantTold(t, newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, listed{"mapped": e, "user": user, "stray": e}), UIDs: ids, GIDs: ids}), "changed stray")
}

// TestFreshFiles are read again, for what is written without a sign.
func TestFreshFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644))
	now := time.Now()
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: manifestOf(t, list(t, dir)), Now: func() time.Time { return now }})
	for i, want := range []int{1, 1, 1, 0, 0} {
		if i == 2 {
			now = now.Add(time.Minute)
		}
		if _, sum := toldBy(t, s); sum.Read != want {
			t.Errorf("scan %d read %d files, want %d", i+1, sum.Read, want)
		}
	}
	s.Forget()
	if _, sum := toldBy(t, s); sum.Read != 1 {
		t.Errorf("after it was told to forget, it read %d files", sum.Read)
	}
}

func TestDamagedManifest(t *testing.T) {
	var buf bytes.Buffer
	w := manifest.NewWriter(&buf)
	for i := range 1000 {
		must(t, w.Add(&manifest.Entry{Path: fmt.Appendf(nil, "%05d", i), Kind: manifest.Dir}))
	}
	_, err := w.Close()
	must(t, err)
	buf.Bytes()[buf.Len()/3] ^= 0xff
	m, err := manifest.Open(buf.Bytes())
	must(t, err)
	if _, err := newScanner(t, Tree{Form: Folder, Path: t.TempDir()}, Config{Manifest: m}).Scan(t.Context(), func(Finding) error { return nil }); err == nil {
		t.Error("a damaged manifest is not noticed")
	}
}
