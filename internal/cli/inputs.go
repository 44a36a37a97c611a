package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/advisory/vex"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/golden"
	"touchstone.dev/touchstone/internal/inspect"
	"touchstone.dev/touchstone/internal/rules"
)

// goldenFile is looked for beside the rules when no flag names one.
const goldenFile = "touchstone-golden.json"

// table is the rules with the waivers that lie beside them.
type table struct {
	path          string // "" for the built-in example
	rules         *touchstone.Rules
	waiversPath   string // where the waivers are, or would be
	waivers       []touchstone.Waiver
	waiversDigest touchstone.Digest
}

// loadRules finds and reads rules and waivers.
func (p *program) loadRules() (*table, error) {
	t, warnings, err := p.readRules()
	if err != nil {
		return nil, err
	}
	if t.path == "" {
		p.note("no %s here: judging by the built-in example rules (touchstone rules show)", rules.DefaultFile)
	}
	data, err := p.readWaivers(t)
	if err != nil || data == nil {
		p.warn(warnings)
		return t, err
	}
	waivers, more, err := rules.LoadWaivers(t.waiversPath, data, t.rules, p.now())
	if err != nil {
		return nil, err
	}
	p.warn(append(warnings, more...))
	t.waivers, t.waiversDigest = waivers, rules.WaiversDigest(data)
	return t, nil
}

func (p *program) readRules() (*table, []rules.Warning, error) {
	path := p.settings.rules
	optional := path == ""
	if optional {
		path = rules.DefaultFile
	}
	data, err := readFile(path)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		path, data = "", rules.Example()
	case err != nil:
		return nil, nil, fmt.Errorf("reading the rules: %w", err)
	}
	name := path
	if name == "" {
		name = "the built-in example"
	}
	r, warnings, err := rules.Load(name, data, p.now())
	if err != nil {
		return nil, nil, err
	}
	return &table{path: path, rules: r}, warnings, nil
}

// readFile reads a file that people write by hand, and no more than such a file
// can have.
func readFile(path string) ([]byte, error) {
	const most = 16 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}

// readWaivers returns nil where there is no file and none was named.
func (p *program) readWaivers(t *table) ([]byte, error) {
	t.waiversPath = p.settings.waivers
	optional := t.waiversPath == ""
	if optional {
		t.waiversPath = filepath.Join(filepath.Dir(t.path), rules.DefaultWaivers)
	}
	data, err := readFile(t.waiversPath)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the waivers: %w", err)
	}
	return data, nil
}

func (p *program) warn(warnings []rules.Warning) {
	for _, w := range warnings {
		p.note("%s", w)
	}
}

// goldenBases finds the file of golden bases.
func (p *program) goldenBases(t *table) *golden.Bases {
	if p.settings.golden != "" {
		return golden.Open(p.settings.golden)
	}
	if beside := filepath.Join(filepath.Dir(t.path), goldenFile); t.path != "" {
		if _, err := os.Stat(beside); err == nil {
			return golden.Open(beside)
		}
	}
	return golden.Open(filepath.Join(p.settings.data, "golden.json"))
}

func (p *program) advisories() *advisory.Folder {
	return advisory.OpenFolder(filepath.Join(p.settings.data, "advisories"))
}

// withInspector makes an inspector, uses it and takes it apart.
func (p *program) withInspector(use func(*inspect.Inspector) error) error {
	p.watch()
	key, err := p.settings.key()
	if err != nil {
		return outside(err)
	}
	store, err := blob.Open(blob.Config{Dir: filepath.Join(p.settings.data, "evidence"), Now: p.now})
	if err != nil {
		p.note("nothing is remembered: %v", err)
		store = nil
	}
	inspector, err := inspect.New(inspect.Config{Store: store, Key: key, Now: p.now, Progress: p.reading})
	if err != nil {
		return outside(err)
	}
	defer func() {
		if err := inspector.Close(); err != nil {
			p.note("temporary files are left behind: %v", err)
		}
	}()
	return use(inspector)
}

// withGate puts a gate together, uses it and takes it apart.
func (p *program) withGate(t *table, use func(*gate.Gate) error) error {
	documents, ignored, err := vex.Load(p.settings.vex, t.rules.VEXAuthors)
	if err != nil {
		return err
	}
	for _, i := range ignored {
		p.note("%s does not count: %s", rules.Printable(i.Path), rules.Printable(i.Why))
	}
	return p.withInspector(func(inspector *inspect.Inspector) error {
		return use(gate.New(gate.Config{
			Inspector: inspector, Advisories: p.advisories(), Golden: p.goldenBases(t),
			Rules: t.rules, Waivers: t.waivers, WaiversDigest: t.waiversDigest,
			VEX:  func(a touchstone.Artifact) advisory.Statements { return documents.About(a) },
			Tool: tool(), Now: p.now,
		}))
	})
}

// tool is what the program calls itself in its answers.
func tool() string { return "touchstone " + version }

// reading shows how far the layers are read.
func (p *program) reading(e inspect.Event) {
	switch {
	case e.Notice != "":
		p.note("%s", e.Notice)
	case e.Known:
	case e.Size > 0:
		p.progress.show(p.now(), "reading layer %d of %d: %d of %d MB", e.Layer+1, e.Layers, e.Done>>20, e.Size>>20)
	default:
		p.progress.show(p.now(), "reading layer %d of %d: %d MB", e.Layer+1, e.Layers, e.Done>>20)
	}
}
