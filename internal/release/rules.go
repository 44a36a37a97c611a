package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
	"touchstone.dev/touchstone/internal/rules"
)

// RulesAsk asks for a rules file to be in force from a moment on.
type RulesAsk struct {
	Source string            `json:"source"`        // the file's text
	Digest touchstone.Digest `json:"digest"`        // of Source
	From   time.Time         `json:"from,omitzero"` // when it begins; zero for as soon as it is approved
}

// Version is a rules file that was approved, or the one that the server began
// with. At any moment the version that began last is in force; of two that begin
// at the same moment the one that was approved last.
type Version struct {
	ID     string            `json:"id"` // of its request; a ULID
	Digest touchstone.Digest `json:"digest"`
	Source string            `json:"source,omitempty"` // the file's text; lists leave it out
	// From is when it begins, never before it was approved; zero for the one that
	// the server began with.
	From     time.Time `json:"from,omitzero"`
	Approved time.Time `json:"approved"`
	By       []string  `json:"by,omitempty"` // who asked for it, then who approved; empty for the first
}

const (
	factRules = "rules"
	firstID   = "0" // of the rules that the server began with; before every ULID
)

// begin takes in the rules that the server begins with, where the store has none.
func (r *Release) begin(ctx context.Context) error {
	_, _, err := record.Get[Version](ctx, r.c.Store, factRules, firstID)
	if !errors.Is(err, record.ErrNotFound) {
		return err
	}
	now := r.c.Now().UTC()
	loaded, _, err := rules.Load(rules.DefaultFile, r.c.Rules, now)
	if err != nil {
		return fmt.Errorf("taking in the first rules: %w", err)
	}
	first := Version{ID: firstID, Digest: loaded.Version, Source: string(r.c.Rules), Approved: now}
	f, err := put(factRules, firstID, first, record.Condition{Absent: true})
	if err != nil {
		return err
	}
	c, err := change("rules", Person{Name: "touchstone"}, firstID, first, f)
	if err != nil {
		return err
	}
	if err := r.write(ctx, c); err != nil && !errors.Is(err, record.ErrConflict) {
		return fmt.Errorf("taking in the first rules: %w", err)
	}
	return nil
}

// Ignored reports whether the rules of the Config are others than those in force:
// they are ignored, and whoever starts the server should be told.
func (r *Release) Ignored(ctx context.Context) (bool, error) {
	s, err := r.read(ctx)
	return err == nil && len(r.c.Rules) > 0 && s.version.Source != string(r.c.Rules), err
}

// inForce returns the version in force at now, and when the next one begins.
func (r *Release) inForce(ctx context.Context, now time.Time) (Version, time.Time, error) {
	var at Version
	var next time.Time
	for doc, err := range record.List[Version](ctx, r.c.Store, record.FactQuery{Kind: factRules}) {
		v := doc.Content
		switch {
		case err != nil:
			return at, next, err
		case v.From.After(now):
			if next.IsZero() || v.From.Before(next) {
				next = v.From
			}
		case at.ID == "" || v.later(&at):
			at = v
		}
	}
	if at.ID == "" {
		return at, next, errors.New("there are no rules")
	}
	return at, next, nil
}

// later reports whether v is in force and not w, when both have begun.
func (v *Version) later(w *Version) bool {
	if c := v.From.Compare(w.From); c != 0 {
		return c > 0
	}
	if c := v.Approved.Compare(w.Approved); c != 0 {
		return c > 0
	}
	return v.ID > w.ID
}

// parsed loads a version, once for as long as it is in force.
func (r *Release) parsed(v Version, now time.Time) (*touchstone.Rules, error) {
	if s := r.shelf.Load(); s != nil && s.version.Digest == v.Digest {
		return s.book.Rules, nil
	}
	loaded, _, err := rules.Load(rules.DefaultFile, []byte(v.Source), now)
	if err != nil {
		return nil, fmt.Errorf("the rules %s, approved before, no longer load: %w", v.Digest.Short(), err)
	}
	return loaded, nil
}

// RulesInForce returns the rules in force now, with who asked and approved.
func (r *Release) RulesInForce(ctx context.Context) (Version, error) {
	s, err := r.read(ctx)
	if err != nil {
		return Version{}, err
	}
	v := s.version
	v.By = slices.Clone(v.By)
	return v, nil
}

// RulesVersions lists every version that was ever approved, without their texts,
// the one that began last first; those that are still to begin come before it.
func (r *Release) RulesVersions(ctx context.Context) ([]Version, error) {
	var out []Version
	for doc, err := range record.List[Version](ctx, r.c.Store, record.FactQuery{Kind: factRules}) {
		if err != nil {
			return nil, fmt.Errorf("listing the versions of the rules: %w", err)
		}
		doc.Content.Source = ""
		out = append(out, doc.Content)
	}
	slices.SortFunc(out, func(a, b Version) int {
		if a.later(&b) {
			return -1
		}
		return 1
	})
	return out, nil
}

// checkRules holds rules that somebody asks for to what can be loaded.
func (r *Release) checkRules(ask *RulesAsk) error {
	loaded, _, err := rules.Load(rules.DefaultFile, []byte(ask.Source), r.c.Now())
	if err != nil {
		return faulty(ErrInvalid, "these rules cannot be in force: "+err.Error(), "")
	}
	if ask.Digest != "" && ask.Digest != loaded.Version {
		return faulty(ErrInvalid, "the text of the rules has another digest than the one named", "send the file as it is")
	}
	if !ask.From.IsZero() && (ask.From.Year() < 2000 || ask.From.Year() > 9999) {
		return faulty(ErrInvalid, "the moment from which the rules are to be in force cannot be", "an instant such as 2027-02-01T08:00:00Z")
	}
	ask.Digest, ask.From = loaded.Version, ask.From.UTC()
	return nil
}

// grantRules makes the rules a version that begins when it was asked to, and not
// before it was approved.
func (r *Release) grantRules(q *Request, approver Person) ([]record.Change, string, error) {
	now := r.c.Now().UTC()
	if err := r.checkRules(q.Rules); err != nil {
		return nil, err.Error(), nil
	}
	v := Version{ID: q.ID, Digest: q.Rules.Digest, Source: q.Rules.Source, From: q.Rules.From, Approved: now, By: []string{q.By.Name, approver.Name}}
	if v.From.Before(now) {
		v.From = now
	}
	f, err := put(factRules, v.ID, v, record.Condition{Absent: true})
	if err != nil {
		return nil, "", err
	}
	c, err := change("rules", approver, q.ID, v, f)
	return []record.Change{c}, "", err
}
