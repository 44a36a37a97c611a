package advisory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/advisory/fetch"
	"touchstone.dev/touchstone/internal/advisory/source"
)

// Where advisories are published.
const (
	// OSV has "<ecosystem>/all.zip" below it
	// (https://google.github.io/osv.dev/data/).
	OSV = "https://osv-vulnerabilities.storage.googleapis.com"
	// KEV is CISA's list of known exploited vulnerabilities.
	KEV = "https://www.cisa.gov/sites/default/files/feeds/" + kevFile
	// EPSS is the newest of the daily scores.
	EPSS = "https://epss.empiricalsecurity.com/" + epssFile

	kevFile  = "known_exploited_vulnerabilities.json"
	epssFile = "epss_scores-current.csv.gz"
)

// UpdateOptions steer an update.
type UpdateOptions struct {
	// Ecosystems are the families to fetch ("Debian", "Go"). None means those
	// that the folder holds already, and Usual in an empty one.
	Ecosystems []string
	// From is where OSV's archives are taken from instead: a URL or a folder
	// that has "<ecosystem>/all.zip" below it, and beside them CISA's list and
	// the EPSS scores under their publishers' file names where it has them.
	From string
	// KEV and EPSS are the URLs of the two; empty means the publishers' own, or
	// the mirror's, and "-" leaves them as they are.
	KEV, EPSS string
	Client    *fetch.Client
	ImportOptions
}

// Usual returns the ecosystems that are fetched when nobody names any.
func Usual() []string {
	return []string{"AlmaLinux", "Alpine", "Chainguard", "Debian", "Go", "Maven", "NuGet", "Packagist", "PyPI", "Red Hat", "Rocky Linux", "RubyGems", "Ubuntu", "Wolfi", "crates.io", "npm"}
}

// feed is one file to fetch.
type feed struct {
	name     string // of the source
	url      string
	path     string // instead of url, in a mirror on disk
	kind     source.Kind
	optional bool // a mirror need not have it
}

// Update fetches advisories and makes a new index. What has not changed is only
// confirmed. One source that cannot be fetched does not keep the others from
// being taken; the error then tells of it beside the report.
func (f *Folder) Update(ctx context.Context, opt UpdateOptions) (Report, error) {
	s, unlock, err := f.open(ctx, func() { opt.progress("waiting for another import", 0) })
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	feeds, err := opt.feeds(s)
	if err != nil {
		return Report{}, err
	}
	tmp, err := os.MkdirTemp(f.dir, "tmp-update-*")
	if err != nil {
		return Report{}, fmt.Errorf("make room for an update: %w", err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // swept by the next import
	u := &update{folder: f, state: s, opt: &opt, stage: stage{dir: tmp, progress: opt.progress}}
	var failed []error
	for _, fd := range feeds {
		if err := u.take(ctx, fd); err != nil {
			if ctx.Err() != nil {
				return Report{}, ctx.Err()
			}
			failed = append(failed, fmt.Errorf("update %s: %w", fd.name, err))
		}
	}
	report, err := u.finish(ctx)
	return report, errors.Join(append(failed, err)...)
}

// feeds lists what is to be fetched.
func (o *UpdateOptions) feeds(s *state) ([]feed, error) {
	names := slices.Clone(o.Ecosystems)
	if len(names) == 0 {
		for i := range s.Sources {
			if family, ok := strings.CutPrefix(s.Sources[i].Name, "osv/"); ok {
				names = append(names, family)
			}
		}
	}
	if len(names) == 0 {
		names = Usual()
	}
	base, mirror := o.From, o.From != ""
	if base == "" {
		base = OSV
	}
	at := func(fd feed, elem ...string) feed {
		if strings.HasPrefix(base, "http://") || strings.HasPrefix(base, "https://") {
			fd.url = strings.TrimSuffix(base, "/")
			for _, e := range elem {
				fd.url += "/" + url.PathEscape(e)
			}
		} else {
			fd.path = filepath.Join(append([]string{base}, elem...)...)
		}
		return fd
	}
	var feeds []feed
	for _, n := range names {
		family, _, _ := strings.Cut(n, ":") // "Debian:12" is in Debian's archive
		if family == "" || strings.ContainsAny(family, `/\`) || strings.HasPrefix(family, ".") {
			return nil, fmt.Errorf("update: %q is no ecosystem", n)
		}
		fd := at(feed{name: "osv/" + family, kind: source.Zip}, family, "all.zip")
		if !slices.Contains(feeds, fd) {
			feeds = append(feeds, fd)
		}
	}
	for _, extra := range []struct {
		given, own, file string
		kind             source.Kind
	}{{o.KEV, KEV, kevFile, source.KEV}, {o.EPSS, EPSS, epssFile, source.EPSS}} {
		fd := feed{name: string(extra.kind), kind: extra.kind, url: extra.given}
		switch {
		case extra.given == "-":
			continue
		case extra.given == "" && mirror:
			fd = at(feed{name: fd.name, kind: fd.kind, optional: true}, extra.file)
		case extra.given == "":
			fd.url = extra.own
		}
		feeds = append(feeds, fd)
	}
	return feeds, nil
}

// update is one call of Update.
type update struct {
	folder    *Folder
	state     *state
	opt       *UpdateOptions
	stage     stage
	confirmed []int // sources that have not changed
	missing   []string
}

// take fetches one feed and stages it.
func (u *update) take(ctx context.Context, fd feed) error {
	if fd.path != "" {
		return u.copy(fd)
	}
	held := slices.IndexFunc(u.state.Sources, func(s Source) bool { return s.Name == fd.name })
	r := fetch.Request{URL: fd.url, Path: u.folder.sourcePath(partPrefix + strings.NewReplacer("/", "-", " ", "_").Replace(fd.name)), Check: fd.fits}
	// The tag is worth nothing without the file that it names, nor when it is
	// of another server's file.
	if held >= 0 && u.state.Sources[held].Origin == fd.url {
		if _, err := os.Stat(u.folder.sourcePath(u.state.Sources[held].File)); err == nil {
			r.ETag, r.LastModified = u.state.Sources[held].ETag, u.state.Sources[held].LastModified
		}
	}
	r.Progress = func(done, _ int64) { u.opt.progress("fetching "+fd.name, done) }
	client := u.opt.Client
	if client == nil {
		client = &fetch.Client{}
	}
	res, err := client.Get(ctx, r)
	var answer *fetch.Status
	switch {
	case errors.As(err, &answer) && (answer.Code == http.StatusNotFound || answer.Code == http.StatusForbidden):
		if fd.optional {
			u.missing = append(u.missing, fd.url)
			return nil
		}
		if fd.kind == source.Zip {
			return fmt.Errorf("%w\nhint: ecosystems are written as OSV writes them: %s, …", err, strings.Join(Usual()[:6], ", "))
		}
		return err
	case err != nil:
		return err
	case res.NotModified:
		u.confirm(held)
		return nil
	}
	defer os.Remove(r.Path) //nolint:errcheck // moved already when all went well
	if held >= 0 && u.state.Sources[held].SHA256 == res.SHA256 {
		src := &u.state.Sources[held]
		src.ETag, src.LastModified, src.Origin = res.ETag, res.LastModified, fd.url
		u.confirm(held)
		return nil
	}
	s, err := u.stage.keep(r.Path, string(fd.kind))
	if err != nil {
		return err
	}
	s.Origin, s.ETag, s.LastModified, s.Confirmed = fd.url, res.ETag, res.LastModified, u.opt.Now.UTC()
	return u.add(s, fd)
}

// copy stages a feed of a mirror on disk. Its own date says when it was current.
func (u *update) copy(fd feed) error {
	if _, err := os.Stat(fd.path); errors.Is(err, fs.ErrNotExist) && fd.optional {
		u.missing = append(u.missing, fd.path)
		return nil
	}
	s, err := u.stage.keep(fd.path, string(fd.kind))
	if err != nil {
		return err
	}
	s.Origin = fd.path
	return u.add(s, fd)
}

// add stages a file whose content is what the feed says.
func (u *update) add(s staged, fd feed) error {
	kind, err := source.Recognise(s.path)
	if err != nil {
		return err
	}
	if kind != fd.kind {
		return errors.New("it is not what it should be: " + string(kind) + " in the place of " + string(fd.kind))
	}
	if kind == source.Zip {
		about, err := source.About(s.path)
		if err != nil {
			return err
		}
		if about.Records == 0 || about.Name != "" && about.Name != fd.name {
			return fmt.Errorf("it is the wrong archive: it holds %q", about.Name)
		}
		s.entries = about.Files
	}
	s.Kind, s.Name = kind, fd.name
	u.stage.staged = append(u.stage.staged, s)
	return nil
}

func (u *update) confirm(held int) {
	u.state.Sources[held].Confirmed = u.opt.Now.UTC()
	u.confirmed = append(u.confirmed, held)
}

// finish makes a new index where something has changed, and else only notes what
// was confirmed.
func (u *update) finish(ctx context.Context) (Report, error) {
	ix, err := u.folder.Index()
	usable := err == nil
	if usable {
		defer ix.Close() //nolint:errcheck // it was only asked
	}
	var report Report
	for _, i := range u.confirmed {
		report.Changed = append(report.Changed, Change{u.state.Sources[i], Confirmed})
	}
	report.Ignored = u.missing
	switch {
	case len(u.stage.staged) > 0 || !usable && len(u.state.Sources) > 0:
		// Unchanged sources are confirmed even where the changed ones turn out
		// to be unusable.
		made, err := u.folder.commit(ctx, u.state, u.stage.staged, u.opt.ImportOptions)
		if err != nil {
			return report, errors.Join(err, u.note())
		}
		made.Changed = append(report.Changed, made.Changed...)
		made.Ignored = report.Ignored
		return made, nil
	case usable:
		report.Revision, report.Records, report.Holes = u.state.Index, ix.reader.Meta().Records, ix.reader.Meta().Holes
		return report, u.note()
	}
	return report, nil
}

// note writes the state when something was confirmed.
func (u *update) note() error {
	if len(u.confirmed) == 0 {
		return nil
	}
	return u.folder.writeState(u.state)
}

// fits judges the first bytes of an answer.
func (fd feed) fits(head []byte) error {
	text := bytes.TrimLeft(head, " \t\r\n")
	ok := false
	switch fd.kind {
	case source.Zip:
		ok = bytes.HasPrefix(head, []byte("PK"))
	case source.KEV:
		ok = bytes.HasPrefix(text, []byte("{"))
	case source.EPSS:
		ok = bytes.HasPrefix(head, []byte("\x1f\x8b")) || bytes.HasPrefix(text, []byte("#")) || bytes.HasPrefix(text, []byte("cve"))
	}
	switch {
	case ok:
		return nil
	case bytes.HasPrefix(text, []byte("<")):
		return errors.New("it is a web page")
	case len(head) == 0:
		return errors.New("it is empty")
	}
	return errors.New("it does not begin like " + string(fd.kind))
}
