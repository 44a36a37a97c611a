package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory"
	"touchstone.dev/touchstone/internal/record"
)

// factHolds is the kind of the reverse index, from packages to what holds them:
//
//	key   repository@digest, a space, the evidence's id
//	tags  the keys that advisories about its packages are filed under
//
// It is written with Seen, one for each image of it, so that whatever was seen is
// found when an advisory changes.
const factHolds = "holds"

// longestTag is the longest name that is taken into the reverse index. No package
// that an advisory is about has a longer one.
const longestTag = 1 << 10

// holds is the fact that the artifact holds the packages of the evidence.
func holds(artifact string, e *touchstone.Evidence) record.Fact {
	f := record.Fact{Kind: factHolds, Key: artifact + " " + string(e.ID), Value: []byte("{}")}
	for _, k := range advisory.Keys(e.Packages) {
		// Names were chosen by strangers; no advisory has one like these.
		if tag := k.String(); len(tag) <= longestTag && utf8.ValidString(tag) && !strings.Contains(tag, "\x00") {
			f.Tags = append(f.Tags, tag)
		}
	}
	return f
}

// manyKeys is from how many keys on it is quicker to go through the whole reverse
// index than to ask it for each.
const manyKeys = 500

// holding returns the artifacts that hold any of the packages, and the images of
// those that are indexes: nodes may name what runs by either.
func (d *Door) holding(ctx context.Context, keys map[string]bool) (map[string]bool, error) {
	queries := []record.FactQuery{{Kind: factHolds}}
	if len(keys) <= manyKeys {
		queries = queries[:0]
		for key := range keys {
			queries = append(queries, record.FactQuery{Kind: factHolds, Tags: []string{key}})
		}
	}
	out := map[string]bool{}
	for _, q := range queries {
		for f, err := range d.c.Store.Facts(ctx, q) {
			if err != nil {
				return nil, fmt.Errorf("asking the reverse index: %w", err)
			}
			if slices.ContainsFunc(f.Tags, func(t string) bool { return keys[t] }) {
				artifact, _, _ := strings.Cut(f.Key, " ")
				out[artifact] = true
			}
		}
	}
	for _, artifact := range slices.Collect(maps.Keys(out)) {
		s, err := d.look(ctx, artifact)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		for i := range s.Platforms {
			out[artifactKey(s.Repository, s.Platforms[i].Digest)] = true
		}
	}
	return out, nil
}
