package advisory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/build"
	"touchstone.dev/touchstone/internal/advisory/index"
)

// ImportOptions steer an import.
type ImportOptions struct {
	// AsOf is when the sources were current, where the user says so; zero means
	// that their own dates tell.
	AsOf time.Time
	// Replace lets a source take the place of one that holds more than twice as
	// much. Without it that is an error, because it is nearly always a mistake,
	// and would look like holes that went away.
	Replace bool
	Now     time.Time
	// Workers is how many goroutines read; zero means one for each processor.
	Workers int
	// Progress is told what is being done and how far it is; it may be nil and
	// is called from several goroutines.
	Progress func(what string, done int64)
}

// Report is what an import or an update came to.
type Report struct {
	Revision touchstone.Digest `json:"revision"`
	Records  int               `json:"records"` // that count: each once, withdrawn ones left out
	Holes    int               `json:"holes"`
	// Changed are the sources that were added, replaced or confirmed.
	Changed []Change `json:"changed"`
	// Ignored are files that hold no advisories.
	Ignored []string `json:"ignored,omitempty"`
}

// Change is what became of one source.
type Change struct {
	Source
	Action Action `json:"action"`
}

// Action is what an import did with a source.
type Action string

// The actions.
const (
	Added     Action = "added"
	Replaced  Action = "replaced"
	Confirmed Action = "confirmed" // fetched, and found to be what is there
)

// Import takes the zips, folders and single files at paths into the folder and
// makes a new index of everything there. Without paths it only makes the index
// again. After an error the folder is as it was.
func (f *Folder) Import(ctx context.Context, paths []string, opt ImportOptions) (Report, error) {
	s, unlock, err := f.open(ctx, func() { opt.progress("waiting for another import", 0) })
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	tmp, err := os.MkdirTemp(f.dir, "tmp-import-*")
	if err != nil {
		return Report{}, fmt.Errorf("make room for an import: %w", err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // swept by the next import
	st := &stage{dir: tmp, progress: opt.progress}
	for _, path := range paths {
		if err := st.take(ctx, path); err != nil {
			return Report{}, fmt.Errorf("import %s: %w", path, err)
		}
	}
	if len(st.staged) == 0 && len(paths) > 0 {
		return Report{}, fmt.Errorf("import %s: there are no advisories in it\nhint: OSV zips and records, CVE records, CISA's known exploited vulnerabilities (JSON) and EPSS (CSV) can be imported", strings.Join(paths, ", "))
	}
	report, err := f.commit(ctx, s, st.staged, opt)
	report.Ignored = st.ignored
	return report, err
}

func (o *ImportOptions) progress(what string, done int64) {
	if o.Progress != nil {
		o.Progress(what, done)
	}
}

// commit makes the staged sources part of the folder, with a new index, and
// writes the state that names them.
func (f *Folder) commit(ctx context.Context, s *state, staged []staged, opt ImportOptions) (Report, error) {
	var report Report
	sources, action, err := f.place(s, staged, opt)
	if err != nil {
		return report, err
	}
	if len(sources) == 0 {
		return report, fmt.Errorf("%w to make an index of\nhint: touchstone db update", ErrNoIndex)
	}
	inputs := make([]build.Input, len(sources))
	for i := range sources {
		inputs[i] = build.Input{Name: sources[i].Name, Path: sources[i].path, Kind: sources[i].Kind}
		if sources[i].path == "" {
			inputs[i].Path = f.sourcePath(sources[i].File)
		}
	}
	res, err := f.build(ctx, inputs, opt)
	if err != nil {
		return report, err
	}
	next := &state{Index: res.Revision, Previous: s.Index, Built: opt.Now}
	if s.Index == res.Revision {
		next.Previous = s.Previous
	}
	for i := range sources {
		src := &sources[i]
		src.count(&res.Found[i])
		if src.path != "" {
			src.Imported = opt.Now
			if src.Confirmed.IsZero() {
				src.Confirmed = ownDate(&res.Found[i], opt)
			}
			if err := os.Rename(src.path, f.sourcePath(src.File)); err != nil {
				return report, fmt.Errorf("keep %s: %w", src.Name, err)
			}
			report.Changed = append(report.Changed, Change{src.Source, action[i]})
		}
		next.Sources = append(next.Sources, src.Source)
	}
	if err := syncDir(filepath.Join(f.dir, "sources")); err != nil {
		return report, err
	}
	if err := f.writeState(next); err != nil {
		return report, err
	}
	f.sweep(next)
	report.Revision, report.Records, report.Holes = res.Revision, res.Meta.Records, res.Meta.Holes
	return report, nil
}

// place decides which sources the folder holds afterwards: a staged one stands
// in the place of the one of its name, else at the end.
func (f *Folder) place(s *state, list []staged, opt ImportOptions) ([]staged, []Action, error) {
	sources := make([]staged, 0, len(s.Sources)+len(list))
	for i := range s.Sources {
		sources = append(sources, staged{Source: s.Sources[i]})
	}
	action := make([]Action, len(sources), cap(sources))
	for _, n := range list {
		i := slices.IndexFunc(sources, func(o staged) bool { return o.Name == n.Name })
		if i < 0 {
			sources, action = append(sources, n), append(action, Added)
			continue
		}
		old := &sources[i]
		if had := old.Records + old.CVEs; !opt.Replace && n.entries*2 < had && old.path == "" {
			return nil, nil, fmt.Errorf("replace %s: the new one has %d records where the present one has %d\nhint: --replace takes it all the same", n.Name, n.entries, had)
		}
		sources[i], action[i] = n, Replaced
	}
	return sources, action, nil
}

// build makes the index file of the inputs.
func (f *Folder) build(ctx context.Context, inputs []build.Input, opt ImportOptions) (*build.Result, error) {
	out, err := os.CreateTemp(f.dir, "tmp-index-*")
	if err != nil {
		return nil, fmt.Errorf("make the index: %w", err)
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone already when all went well
	workers := opt.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	res, err := build.Build(ctx, inputs, out, build.Options{Dir: f.dir, Workers: workers, Now: opt.Now, Progress: opt.Progress})
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	// What was written must be readable before anything depends on it.
	r, err := index.Open(out.Name())
	if err != nil {
		return nil, fmt.Errorf("make the index: %w", err)
	}
	_ = r.Close()
	if err := os.Chmod(out.Name(), 0o444); err != nil {
		return nil, fmt.Errorf("make the index: %w", err)
	}
	if err := os.Rename(out.Name(), f.indexPath(res.Revision)); err != nil {
		return nil, fmt.Errorf("make the index: %w", err)
	}
	return res, nil
}

// ownDate is when a source says that it was current: the youngest of its records
// and of the files in its archive, or what the user says. A date in the future
// says nothing.
func ownDate(found *build.Found, opt ImportOptions) time.Time {
	if !opt.AsOf.IsZero() {
		return opt.AsOf.UTC()
	}
	var at time.Time
	for _, t := range []time.Time{found.Newest, found.Written} {
		if t.After(at) && !t.After(opt.Now) {
			at = t
		}
	}
	return at.UTC()
}
