package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/manifest"
)

// What is kept in the store, by kind of record:
//
//	layer     diff ID and settings → record
//	seen      stamp, or digest of a layer → the diff ID that it was read to have
//	evidence  evidence ID and settings → Evidence as JSON
//
// The manifests of layers and artifacts and the symbols of Go binaries are
// blobs that the records name.
const (
	kindLayer    = "layer"
	kindSeen     = "seen"
	kindEvidence = "evidence"
)

// settings names what else, besides the bytes, decides what a layer yields.
func (in *Inspector) settings() string {
	key := sha256.Sum256(append([]byte("touchstone fingerprint key "), in.config.Key...))
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %x %+v", Version, key, in.config.Limits))
	return hex.EncodeToString(sum[:8])
}

// EvidenceID names evidence by the config and the diff IDs, or by the
// manifest where there are none (a folder in place).
func EvidenceID(config touchstone.Digest, diffIDs []touchstone.Digest) touchstone.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "touchstone evidence\ninspector %d\nconfig %s\n", Version, config)
	for _, d := range diffIDs {
		fmt.Fprintf(h, "layer %s\n", d)
	}
	return touchstone.NewDigest(h.Sum(nil))
}

// seen is what is remembered of stored bytes that were read whole.
type seen struct {
	DiffID touchstone.Digest `json:"diffID"`
	Digest touchstone.Digest `json:"digest"`
	Size   int64             `json:"size"`
}

// recall returns what the stored bytes of the layer are, without reading them:
// by their stamp, or by their digest where they come from a registry, whose
// bytes whoever pulls them verifies. The digest that a local file claims for its
// bytes is not trusted.
func (run *inspection) recall(l *layer) (seen, bool) {
	if !run.lasting {
		return seen{}, false
	}
	if l.Stamp != "" {
		if s, ok := run.sought("stamp " + l.Stamp); ok {
			return s, true
		}
	}
	if l.Digest == "" || run.artifact.Source != "" {
		return seen{}, false
	}
	return run.sought("digest " + string(l.Digest))
}

func (run *inspection) sought(key string) (s seen, ok bool) {
	data, err := run.store.Record(kindSeen, key)
	if err != nil || json.Unmarshal(data, &s) != nil || !s.DiffID.Valid() {
		return seen{}, false
	}
	return s, true
}

// recallLayer returns the record of a layer that was read before, if all that it
// names is still there.
func (run *inspection) recallLayer(diffID touchstone.Digest) (r record, ok bool) {
	if !run.lasting || diffID == "" {
		return record{}, false
	}
	data, err := run.store.Record(kindLayer, string(diffID)+" "+run.settings())
	if err != nil || r.decode(data) != nil || !run.store.Has(r.Manifest) || !run.hasSymbols(r.Packages) {
		return record{}, false
	}
	return r, true
}

func (run *inspection) hasSymbols(pkgs []touchstone.Package) bool {
	var last touchstone.Digest
	for i := range pkgs {
		if d := pkgs[i].Symbols; d != "" && d != last {
			if !run.store.Has(d) {
				return false
			}
			last = d
		}
	}
	return true
}

// rememberLayer keeps what a layer yielded and how it is recognised. A store
// that cannot be written costs time at the next reading and nothing else.
func (run *inspection) rememberLayer(l *layer) {
	if !run.lasting {
		return
	}
	data, err := l.record.encode()
	if err == nil {
		err = run.store.PutRecord(kindLayer, string(l.diffID)+" "+run.settings(), data)
	}
	if err != nil {
		run.notice(err)
		return
	}
	run.rememberSeen(l)
}

func (run *inspection) rememberSeen(l *layer) {
	if !run.lasting || !l.true() {
		return
	}
	data, err := json.Marshal(seen{l.diffID, l.digest, l.size})
	for _, key := range []string{"stamp " + l.Stamp, "digest " + string(l.digest)} {
		if err == nil && !strings.HasSuffix(key, " ") {
			err = run.store.PutRecord(kindSeen, key, data)
		}
	}
	if err != nil {
		run.notice(err)
	}
}

// remember keeps the evidence, unless the artifact lies, could not be read to
// its end, or reading it again may tell more.
func (run *inspection) remember(id touchstone.Digest, evidence []byte) {
	if !run.lasting || run.image.lies() {
		return
	}
	for _, l := range run.layers {
		if !l.true() || l.unstable {
			return
		}
	}
	if err := run.store.PutRecord(kindEvidence, string(id)+" "+run.settings(), evidence); err != nil {
		run.notice(err)
	}
}

// known returns the evidence of an artifact whose every layer is recognised
// without being read; nil otherwise.
func (run *inspection) known() *touchstone.Evidence {
	if !run.lasting || run.image.lies() || len(run.layers) == 0 {
		return nil
	}
	var diffIDs []touchstone.Digest
	for _, l := range run.layers {
		s, ok := run.recall(l)
		if !ok || l.DiffID != "" && l.DiffID != s.DiffID || l.Digest != "" && l.Digest != s.Digest || l.Size >= 0 && l.Size != s.Size {
			return nil
		}
		l.diffID, l.digest, l.size = s.DiffID, s.Digest, s.Size
		diffIDs = append(diffIDs, s.DiffID)
	}
	data, err := run.store.Record(kindEvidence, string(EvidenceID(run.image.digest, diffIDs))+" "+run.settings())
	if err != nil {
		return nil
	}
	var e touchstone.Evidence
	if json.Unmarshal(data, &e) != nil || len(e.Layers) != len(run.layers) ||
		!run.store.Has(e.Manifest.Blob) || !run.hasSymbols(e.Packages) {
		return nil
	}
	for i, l := range run.layers {
		// One content may be stored in several forms: these are of this one.
		e.Layers[i].Digest, e.Layers[i].Size, e.Layers[i].MediaType = l.digest, l.size, l.MediaType
		run.config.Progress(Event{Layer: i, Layers: len(run.layers), Done: l.size, Size: l.size, Known: true})
	}
	run.nameFilesystem()
	return &e
}

// nameFilesystem gives the tarball of a root file system the digest that reading
// it has told.
func (run *inspection) nameFilesystem() {
	if run.artifact.Digest == "" && len(run.layers) == 1 && !run.image.present {
		run.artifact.Digest = run.layers[0].diffID
	}
}

// keepBlob puts bytes into the store. They are lost, with a notice, where it
// cannot be written.
func (in *Inspector) keepBlob(data []byte) (touchstone.Digest, error) {
	d, err := in.store.Put(data)
	if errors.Is(err, blob.ErrUnwritable) {
		in.notice(err)
		return "", nil
	}
	return d, outside(err)
}

// written is a manifest that was just written.
type written struct {
	blob    touchstone.Digest
	mapping *blob.Mapping
	reader  *manifest.Reader
	summary touchstone.ManifestSummary
}

// writeManifest writes a manifest and keeps it in the store. Where that cannot be
// written the manifest is used all the same.
func (in *Inspector) writeManifest(write func(*manifest.Writer) error) (*written, error) {
	w, err := in.spool(write)
	if err != nil {
		return nil, err
	}
	return w, in.keep(w)
}

// keep copies a manifest to the store.
func (in *Inspector) keep(w *written) error {
	_, err := in.store.Put(w.mapping.Bytes())
	if errors.Is(err, blob.ErrUnwritable) {
		in.notice(err)
		return nil
	}
	return outside(err)
}

// spool writes a manifest to a temporary file and maps it.
func (in *Inspector) spool(write func(*manifest.Writer) error) (*written, error) {
	f, err := in.scratch.file()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	w := manifest.NewWriter(io.MultiWriter(f, sum))
	if err := write(w); err != nil {
		return nil, outside(err)
	}
	out := &written{}
	if out.summary, err = w.Close(); err != nil {
		return nil, outside(fmt.Errorf("writing a temporary file: %w", err))
	}
	out.blob = touchstone.NewDigest(sum.Sum(nil))
	out.summary.Blob = out.blob
	if out.mapping, err = blob.MapFile(f); err != nil {
		return nil, outside(err)
	}
	if out.reader, err = manifest.Open(out.mapping.Bytes()); err != nil {
		out.mapping.Close()
		return nil, outside(err)
	}
	return out, nil
}

// notice tells the user of a store that cannot be written.
func (in *Inspector) notice(err error) {
	in.config.Progress(Event{Layer: -1, Notice: err.Error()})
}

func (in *Inspector) progress(l *layer, done int64) {
	in.config.Progress(Event{Layer: l.index, Layers: l.layers, Done: done, Size: l.Size})
}
