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

	"touchstone.dev/touchstone/internal/manifest"
	"touchstone.dev/touchstone/internal/unprivileged"
)

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
