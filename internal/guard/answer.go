package guard

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// contentJudge answers the permission layer: what content a subject has, and what
// is done about other content.
type contentJudge Guard

var _ fanotify.Judge = (*contentJudge)(nil)

// HasSize implements fanotify.Judge. While the manifest is not known every size may
// be the image's, and where a content is waived every size may be that one's.
func (j *contentJudge) HasSize(subject uint64, size int64) bool {
	g := (*Guard)(j)
	s := g.subject(subject)
	if s == nil {
		return subject != g.canary.id
	}
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	return im == nil || im.contents.HasSize(size) || g.waivesContent()
}

// waivesContent reports whether a waiver names something that may be executed by its
// content, so that it has to be hashed though the image has nothing of its size.
func (g *Guard) waivesContent() bool {
	return slices.ContainsFunc(g.ground.Load().Waivers, func(w touchstone.Waiver) bool {
		return (w.Rule == touchstone.RuleRunUnknown || w.Rule == touchstone.RuleRunUnjudged) && touchstone.Digest(w.Package).Valid()
	})
}

// Has implements fanotify.Judge.
func (j *contentJudge) Has(subject uint64, size int64, sum [32]byte) bool {
	g := (*Guard)(j)
	s := g.subject(subject)
	if s == nil {
		return subject != g.canary.id // it has just ended
	}
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if im == nil {
		return false
	}
	_, known := im.contents.Has(size, sum)
	return known
}

// Verified implements fanotify.Judge: the kernel's layer learns of it before it runs.
func (j *contentJudge) Verified(subject uint64, stamp fanotify.Stamp) {
	g := (*Guard)(j)
	if s := g.subject(subject); s != nil {
		g.layers.verify(s, bpf.Stamp(stamp))
	}
}

// Unknown implements fanotify.Judge.
func (j *contentJudge) Unknown(a *fanotify.Access) fanotify.Answer {
	g := (*Guard)(j)
	s := g.subject(a.Subject)
	if s == nil {
		return fanotify.Answer{Deny: a.Subject == g.canary.id}
	}
	x := executionOf(a)
	if s.image.Load() == nil {
		// Before the manifest is there, the file is held against the image's layers.
		if a.Hashed && s.layersHold(a.Path, a.Stamp.Size, a.SHA256) {
			g.layers.verify(s, bpf.Stamp(a.Stamp))
			return fanotify.Answer{Known: true}
		}
		x.Unjudged = "what the image holds is not known yet"
	} else if a.Hashed && j.Has(a.Subject, a.Stamp.Size, a.SHA256) {
		// It was asked about while the manifest was not there.
		g.layers.verify(s, bpf.Stamp(a.Stamp))
		return fanotify.Answer{Known: true}
	}
	return g.answer(s, a, x)
}

// Unjudged implements fanotify.Judge.
func (j *contentJudge) Unjudged(a *fanotify.Access) {
	g := (*Guard)(j)
	s := g.subject(a.Subject)
	if s == nil {
		return
	}
	g.answer(s, a, executionOf(a))
}

func executionOf(a *fanotify.Access) *touchstone.Execution {
	x := &touchstone.Execution{Kind: a.Kind, Path: strings.TrimPrefix(a.Path, "/"), Size: a.Stamp.Size, Unjudged: a.Unjudged}
	if a.Hashed {
		x.SHA256 = touchstone.NewDigest(a.SHA256[:])
	}
	return x
}

// answer judges something that is about to be executed, and tells of it once the
// kernel knows.
func (g *Guard) answer(s *subject, a *fanotify.Access, x *touchstone.Execution) fanotify.Answer {
	what := act{
		subject: s, kind: touchstone.EventRunUnknown, thing: x.Path + "\n" + string(x.SHA256), at: g.c.Now(), copy: x.Path,
		question: touchstone.Question{Occasion: touchstone.OccasionExecute, Execution: x},
	}
	j := g.judge(s, what.question)
	deny := j.stops()
	if a.Late {
		deny = !a.Allowed
	}
	if deny {
		what.steps = []touchstone.Step{{At: what.at, Do: touchstone.DeedDenied, Layer: layerFanotify}}
	} else {
		s.excuse(j.until)
		g.layers.verify(s, bpf.Stamp(a.Stamp)) // else the kernel's layer would judge it once more
	}
	if j.action != touchstone.EffectNone && g.repeats.isFresh(repeatKey{s.id, what.kind, what.thing}, what.at) {
		// The process waits for the answer, so that it is still who it was.
		if what.process = g.process(a.PID); what.process != nil {
			what.tree = g.ancestors(what.process)
		}
	}
	if a.Late {
		g.happened(what, j)
		return fanotify.Answer{}
	}
	return fanotify.Answer{Deny: deny, After: func(bool) { g.happened(what, j) }}
}

// layersHold reports whether the image's own layers have this content at this path:
// the topmost that has the path decides, as it does for the overlay.
func (s *subject) layersHold(path string, size int64, sum [32]byte) bool {
	if s.host {
		return false
	}
	for _, layer := range s.container.Rootfs.Lower {
		f, err := openBelow(layer, path)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return false
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() || info.Size() != size {
			return false
		}
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return false
		}
		return [32]byte(h.Sum(nil)) == sum
	}
	return false
}

// openBelow opens a file without leaving the folder and without following links.
func openBelow(folder, name string) (*os.File, error) {
	dir, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := unix.Openat2(dir, strings.TrimPrefix(name, "/"), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// executables returns the stamps of all executables of the image as they lie in the
// subject now. What was written over since is left out: it is judged when it is
// executed.
func (g *Guard) executables(s *subject, im *image) ([]bpf.Stamp, error) {
	root, err := unix.Open(s.root(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the root of %s: %w", s.name(), err)
	}
	defer func() { _ = unix.Close(root) }()
	upper := ""
	if s.container != nil {
		upper = s.container.Rootfs.Upper
	}
	var out []bpf.Stamp
	c := im.manifest.Start()
	for c.Next() {
		e := c.Entry()
		if e.Exec == 0 || e.Kind != 0 {
			continue
		}
		path := string(e.Path)
		if stamp, ok := stampBelow(root, path, e.Size); ok && !changedIn(upper, path) {
			out = append(out, stamp)
		}
	}
	return out, c.Err()
}

// stampBelow returns the stamp of a file below the root, if it is on the root's own
// file system and has the size.
func stampBelow(root int, path string, size int64) (bpf.Stamp, bool) {
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return bpf.Stamp{}, false
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != size {
		return bpf.Stamp{}, false
	}
	return stampOf(&st), true
}

// changedIn reports whether the upper folder has something at the path, or in the
// place of a folder above it.
func changedIn(upper, path string) bool {
	if upper == "" {
		return false
	}
	for at := path; at != "." && at != "/"; at = filepath.Dir(at) {
		var st unix.Stat_t
		if unix.Lstat(filepath.Join(upper, at), &st) != nil {
			continue
		}
		if at == path || st.Mode&unix.S_IFMT != unix.S_IFDIR || opaque(filepath.Join(upper, at)) {
			return true
		}
	}
	return false
}

// opaque reports whether a folder of the upper layer is not what the lower ones have
// at its place (overlayfs.rst, "whiteouts and opaque directories", "redirect_dir").
func opaque(folder string) bool {
	for _, name := range []string{"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque", "user.overlay.redirect"} {
		if _, err := unix.Lgetxattr(folder, name, nil); err == nil {
			return true
		}
	}
	return false
}
