package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// Replay is what deciding again from the stored inputs came to.
type Replay struct {
	ID   string `json:"id"`
	Same bool   `json:"same"` // to the letter
	// Missing names inputs that retention has removed; then nothing is replayed.
	Missing []string             `json:"missing,omitempty"`
	Differs []string             `json:"differs,omitempty"` // what differs, a sentence each
	Then    touchstone.Decision  `json:"then"`
	Again   *touchstone.Decision `json:"again,omitempty"`
}

// Replay takes a decision again from what it was taken on, and says what differs.
// A difference means that this program decides otherwise than the one that took
// it, or that somebody has changed what is stored. The error is
// record.ErrNotFound when nothing of the decision is left.
func (d *Door) Replay(ctx context.Context, id string) (*Replay, error) {
	c, r, then, missing, err := d.Restore(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &Replay{ID: id, Missing: missing, Then: then}
	if len(missing) > 0 {
		return out, nil
	}
	again := touchstone.Decide(r, c)
	out.Again = &again
	if out.Same, err = sameDocument(&then, &again); err != nil {
		return nil, fmt.Errorf("comparing decision %s: %w", id, err)
	}
	if !out.Same {
		out.Differs = differences(&then, &again)
	}
	return out, nil
}

// sameDocument compares as documents: what was read from the record has lost
// whether a list was empty or not there. An action that was not told then is no
// difference: a login may have been decided before there was the word.
func sameDocument(then, again *touchstone.Decision) (bool, error) {
	x, err := json.Marshal(then)
	if err != nil {
		return false, err
	}
	now := *again
	if then.Action == "" {
		now.Action = ""
	}
	y, err := json.Marshal(&now)
	return bytes.Equal(x, y), err
}

// differences tells in sentences how the second decision differs.
func differences(then, again *touchstone.Decision) []string {
	var out []string
	tell := func(what string, a, b any) {
		x, y := fmt.Sprint(a), fmt.Sprint(b)
		if x != y {
			out = append(out, fmt.Sprintf("%s was %s, and is %s", what, quoted(x), quoted(y)))
		}
	}
	tell("the verdict", then.Verdict, again.Verdict)
	if then.Action != "" {
		tell("the action", then.Action, again.Action)
	}
	tell("until", moment(then.Until), moment(again.Until))
	tell("the digest of the evidence", then.Inputs.Evidence, again.Inputs.Evidence)
	tell("the revision of the advisories", then.Inputs.Index, again.Inputs.Index)
	tell("the digest of the rules", then.RulesVersion, again.RulesVersion)
	for i := range then.Reasons {
		a := &then.Reasons[i]
		b := reason(again, a.Rule)
		if b == nil {
			out = append(out, fmt.Sprintf("the rule %s was asked, and is no more", a.Rule))
			continue
		}
		tell("the outcome of "+a.Rule, a.Outcome, b.Outcome)
		tell("the effect of "+a.Rule, a.Effect, b.Effect)
		tell("what "+a.Rule+" saw", a.Seen, b.Seen)
		tell("what "+a.Rule+" allows", a.Allowed, b.Allowed)
		tell("what fails "+a.Rule, strings.Join(a.Failing, ", "), strings.Join(b.Failing, ", "))
		tell("what is waived of "+a.Rule, strings.Join(a.Waived, ", "), strings.Join(b.Waived, ", "))
		tell("the fix for "+a.Rule, a.Fix, b.Fix)
	}
	for i := range again.Reasons {
		if rule := again.Reasons[i].Rule; reason(then, rule) == nil {
			out = append(out, fmt.Sprintf("the rule %s was not asked, and is now", rule))
		}
	}
	tell("the findings", findingsText(then.Findings), findingsText(again.Findings))
	if len(out) == 0 {
		out = append(out, "a part that this list does not tell differs: compare both decisions")
	}
	return out
}

func reason(d *touchstone.Decision, rule string) *touchstone.Reason {
	if i := slices.IndexFunc(d.Reasons, func(r touchstone.Reason) bool { return r.Rule == rule }); i >= 0 {
		return &d.Reasons[i]
	}
	return nil
}

func quoted(s string) string {
	if s == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", s)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func findingsText(list []touchstone.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, strings.TrimSpace(f.Rule+" "+f.Thing)+" by "+moment(f.Deadline))
	}
	return strings.Join(out, ", ")
}
