package gate

import (
	"context"
	"fmt"
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

// holding returns the artifacts that hold any of the packages.
func (d *Door) holding(ctx context.Context, keys map[string]bool) (map[string]bool, error) {
	out := map[string]bool{}
	take := func(f record.Fact) {
		artifact, _, _ := strings.Cut(f.Key, " ")
		out[artifact] = true
	}
	if len(keys) > manyKeys {
		for f, err := range d.c.Store.Facts(ctx, record.FactQuery{Kind: factHolds}) {
			if err != nil {
				return nil, fmt.Errorf("asking the reverse index: %w", err)
			}
			for _, t := range f.Tags {
				if keys[t] {
					take(f)
					break
				}
			}
		}
		return out, nil
	}
	for key := range keys {
		for f, err := range d.c.Store.Facts(ctx, record.FactQuery{Kind: factHolds, Tags: []string{key}}) {
			if err != nil {
				return nil, fmt.Errorf("asking the reverse index for %s: %w", key, err)
			}
			take(f)
		}
	}
	return out, nil
}
