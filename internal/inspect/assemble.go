package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/packages"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/pin"
)

// evidence reads the artifact, merges what its layers yielded, and keeps the
// result.
func (run *inspection) evidence(ctx context.Context) (*touchstone.Evidence, error) {
	if err := run.read(ctx); err != nil {
		return nil, err
	}
	m, w, err := run.merge()
	if err != nil {
		return nil, err
	}
	defer w.mapping.Close()
	e := &touchstone.Evidence{
		Schema: touchstone.SchemaEvidence, Inspector: Version, Kind: run.artifact.Kind,
		Platform: run.image.platform, Config: run.image.digest, Created: run.image.created, Manifest: w.summary,
	}
	e.ID = run.id(w.blob)
	var found []touchstone.Secret
	e.Configuration, found = secrets.Redact(run.image.configuration, run.config.Key)
	e.Configuration.UserID = userID(run.image.configuration.User, m.open)
	e.Layers = run.layerList(e.Configuration.History)
	e.OS = packages.ReadOS(m.open)
	e.Packages = packages.Complete(m.packages(), e.OS)
	for i := range found {
		found[i].Layer = -1
	}
	e.Secrets = slices.Concat(found, m.secrets())
	e.Pins = pin.History(e.Configuration.History)
	var gaps []touchstone.Gap
	e.Surface, gaps = surface.Measure(m, e.Configuration)
	e.Gaps = slices.Concat(gaps, m.databaseGaps(e.OS, e.Packages), m.unnamedGaps(), run.emptyGaps(w.summary.Bytes), m.allGaps())
	if m.err != nil {
		return nil, outside(m.err)
	}
	e, data, err := settled(e)
	if err != nil {
		return nil, err
	}
	run.nameFilesystem()
	run.remember(e.ID, data)
	return e, nil
}

// settled returns the evidence as it will be found again: sorted, without nil
// lists, and with names that are not UTF-8 written as JSON does.
func settled(e *touchstone.Evidence) (*touchstone.Evidence, []byte, error) {
	slices.SortFunc(e.Packages, func(a, b touchstone.Package) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.Layer, b.Layer))
	})
	slices.SortFunc(e.Secrets, func(a, b touchstone.Secret) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Kind, b.Kind))
	})
	sortGaps(e.Gaps)
	s := &e.Surface
	for _, list := range []*[]string{&s.Setuid, &s.Capabilities, &s.Shells, &s.PackageManagers, &s.Interpreters,
		&s.NetworkTools, &s.DebugTools, &s.LoginDaemons, &s.WorldWritable, &s.Needed, &s.Unneeded} {
		*list = list0(*list)
	}
	e.Layers, e.Packages, e.Secrets = list0(e.Layers), list0(e.Packages), list0(e.Secrets)
	e.Pins, e.Gaps = list0(e.Pins), list0(e.Gaps)
	data, err := json.Marshal(e)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	again := &touchstone.Evidence{}
	if err := json.Unmarshal(data, again); err != nil {
		return nil, nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	return again, data, nil
}

// list0 makes a nil list an empty one.
func list0[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// id names the evidence.
func (run *inspection) id(manifest touchstone.Digest) touchstone.Digest {
	var diffIDs []touchstone.Digest
	for _, l := range run.layers {
		// What was not read to its end has no diff ID; its manifest tells it
		// from other such layers.
		diffIDs = append(diffIDs, cmp.Or(l.diffID, manifest))
	}
	return EvidenceID(run.image.digest, diffIDs)
}

func (run *inspection) layerList(history []string) []touchstone.Layer {
	var out []touchstone.Layer
	created := run.image.instructions(len(run.layers), history)
	for i, l := range run.layers {
		digest := cmp.Or(l.digest, l.Digest)
		size := l.size
		if size == 0 && l.Size > 0 {
			size = l.Size
		}
		out = append(out, touchstone.Layer{Digest: digest, DiffID: l.diffID, Size: size, MediaType: l.MediaType, CreatedBy: created[i]})
	}
	return out
}

// fromDatabase reports whether the package was read from the database of a
// package manager, one file for many packages, which each later layer that
// installs something replaces as a whole.
func fromDatabase(p *touchstone.Package) bool {
	return slices.Contains([]string{"deb", "apk", "rpm", "alpm", "opkg", "ebuild", "portage", "nix", "cos", "flatpak", "snap", "brew"}, kindOf(p))
}
