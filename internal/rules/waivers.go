package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// DefaultWaivers is the file of waivers, beside the rules.
const DefaultWaivers = "touchstone-waivers.yaml"

// waiverBounds let a baseline of some twenty thousand waivers through.
func waiverBounds() bounds { return bounds{bytes: 8 << 20, lines: 200} }

func waiverKeys() []string {
	return []string{"id", "rule", "artifact", "advisory", "package", "whole-rule", "environments", "owner", "approved-by", "reason", "until", "until-fix", "score-above", "unless-exploited"}
}

// LoadWaivers reads a file of waivers and holds it to the policy of the rules.
// A waiver that has lapsed stays in the list, where it does nothing, and is
// warned of. The error is an *Error with every fault of the file: one bad waiver
// keeps all from being used, because nobody could tell which were meant to hold.
func LoadWaivers(name string, data []byte, r *touchstone.Rules, now time.Time) ([]touchstone.Waiver, []Warning, error) {
	w := waiverLoader{reader: newReader(name, data), rules: r, now: now, lines: map[string]int{}}
	root := w.parse(data, waiverBounds())
	if len(w.problems) > 0 {
		return nil, nil, w.err()
	}
	list := w.list(root)
	if err := w.err(); err != nil {
		return nil, sorted(w.warnings), err
	}
	return list, sorted(w.warnings), nil
}

// WaiversDigest names a file of waivers, for Case.WaiversDigest.
func WaiversDigest(data []byte) touchstone.Digest { return touchstone.DigestOf(data) }

type waiverLoader struct {
	*reader
	rules *touchstone.Rules
	now   time.Time
	lines map[string]int // where each id stands
}

func (l *waiverLoader) list(root *node) []touchstone.Waiver {
	switch {
	case root == nil || root.kind == kindNull:
		return []touchstone.Waiver{}
	case root.kind != kindList:
		l.fault(root, "waivers must be a list, not "+root.kind.String(), "- {rule: cvss, advisory: CVE-…, owner: …, reason: …, until: 2027-02-01}")
		return nil
	}
	out := make([]touchstone.Waiver, 0, len(root.items))
	for _, n := range root.items {
		before := len(l.problems)
		w := l.waiver(n)
		if len(l.problems) == before && l.fresh(n, &w) {
			out = append(out, w)
		}
	}
	return out
}

// fresh gives the waiver an id when it has none, and reports whether it is not a
// plain repetition.
func (l *waiverLoader) fresh(n *node, w *touchstone.Waiver) bool {
	given := w.ID != ""
	if !given {
		w.ID = derivedID(w)
	}
	line, seen := l.lines[w.ID]
	if !seen {
		l.lines[w.ID] = n.line
		return true
	}
	if given {
		l.fault(n.get("id"), "the id "+w.ID+" stands here for the second time; the first is in line "+itoa(line), "each waiver has its own, or none")
	} else {
		l.warn(n, "the same waiver stands in line "+itoa(line), "take one of them out")
	}
	return false
}

// derivedID names a waiver by what it says, so that it has the same id on every
// machine and a changed waiver has another.
func derivedID(w *touchstone.Waiver) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", []string{w.Rule, w.Artifact, w.Advisory, w.Package, strings.Join(w.Environments, " "), w.Owner, w.ApprovedBy,
		w.Reason, w.Until.UTC().Format(time.RFC3339Nano), strconv.FormatFloat(w.ScoreAbove, 'g', -1, 64), strconv.FormatBool(w.WholeRule)})
	if w.UntilFix || w.UnlessExploited { // not in the line above, so that the others keep their ids
		fmt.Fprintf(h, "%t %t", w.UntilFix, w.UnlessExploited)
	}
	return "w-" + hex.EncodeToString(h.Sum(nil)[:6])
}

// waiver reads one waiver; what is wrong with it is among the problems.
func (l *waiverLoader) waiver(n *node) touchstone.Waiver {
	var w touchstone.Waiver
	before := len(l.problems)
	if !l.keys(n, waiverKeys(), "a waiver") {
		return w
	}
	known := len(l.problems) == before
	for _, e := range n.entries {
		l.key(e, &w)
	}
	if known && n.get("rule") != nil {
		l.scope(n, &w)
	}
	l.missing(n)
	l.length(n, &w)
	return w
}

// missing notes the compulsory keys that the waiver does not have.
func (l *waiverLoader) missing(n *node) {
	keys := []string{"rule", "owner", "reason", "until"}
	hint := "owner: the team that answers for it, reason: why it may pass, until: 2027-02-01"
	if by := l.rules.Waiving.ApprovedBy; by != "" {
		keys = append(keys, "approved-by")
		hint += ", approved-by: who of " + by + " approved"
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { return n.get(k) != nil })
	if len(keys) > 0 {
		l.fault(n, "the waiver lacks "+strings.Join(keys, ", "), hint)
	}
}

func (l *waiverLoader) key(e entry, w *touchstone.Waiver) {
	n := e.value
	switch e.key.text {
	case "id":
		w.ID, _ = l.word(n, "id")
	case "rule":
		if name, ok := l.word(n, "rule"); ok {
			w.Rule = name
			l.waivable(n, name)
		}
	case "artifact":
		w.Artifact, _ = l.word(n, "artifact")
		if strings.HasPrefix(w.Artifact, "sha256:") && !touchstone.Digest(w.Artifact).Valid() {
			l.fault(n, quote(w.Artifact)+" is not a digest", "sha256: and 64 hexadecimal digits in lower case; or a name, such as registry.example/shop")
		}
	case "advisory":
		w.Advisory, _ = l.word(n, "advisory")
	case "package":
		w.Package, _ = l.word(n, "package")
	case "whole-rule":
		w.WholeRule = l.yes(n, "whole-rule")
	case "until-fix":
		w.UntilFix = l.yes(n, "until-fix")
	case "unless-exploited":
		w.UnlessExploited = l.yes(n, "unless-exploited")
	case "environments":
		names, _ := l.words(n, "environments")
		for i, env := range names {
			l.environment(n.items[i], env, l.rules.Environments)
		}
		if len(names) == 0 && n.kind == kindList {
			l.fault(n, "environments is empty", "name them, or leave the key out for all of them")
		}
		w.Environments = names
	case "owner":
		w.Owner, _ = l.word(n, "owner")
	case "approved-by":
		w.ApprovedBy, _ = l.word(n, "approved-by")
	case "reason":
		w.Reason, _ = l.word(n, "reason")
	case "until":
		l.until(n, w)
	case "score-above":
		text, _ := l.word(n, "score-above")
		score, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(score) || score <= 0 || score > 10 {
			l.fault(n, "score-above is a CVSS score above 0 and at most 10", "score-above: 9 ends the waiver when the score rises above 9")
			return
		}
		w.ScoreAbove = score
	}
}

// yes reads true or false.
func (r *reader) yes(n *node, what string) bool {
	text, ok := r.word(n, what)
	if ok && text != "true" && text != "false" {
		r.fault(n, what+" is true or false", "")
	}
	return text == "true"
}

// waivable notes a rule that is unknown, that is never waived, or that nobody
// asks.
func (l *waiverLoader) waivable(n *node, name string) {
	switch {
	case name == touchstone.RuleIntegrity || name == touchstone.RuleInspect || slices.Contains(l.rules.Waiving.Never, name):
		l.fault(n, "the rule "+name+" is never waived", "")
	case l.rules.Row(name) != nil:
	case isMeasure(name):
		l.warn(n, "the rules do not ask "+name+", so this waiver does nothing", "take it out")
	default:
		valid := measureNames()
		for i := range l.rules.Rows {
			valid = append(valid, l.rules.Rows[i].Name)
		}
		l.fault(n, "there is no rule "+quote(name), nearestHint(name, valid))
	}
}

func (l *waiverLoader) until(n *node, w *touchstone.Waiver) {
	t, whole, ok := l.day(n, "until")
	if !ok {
		return
	}
	if whole {
		t = t.AddDate(0, 0, 1) // to the end of that day
	}
	w.Until = t
	if !l.now.Before(t) {
		l.warn(n, "this waiver has lapsed", "take it out, or ask for a new one")
	}
}

// length holds the waiver to the longest time that the rules allow from today.
// The time is counted from now and not from a day that the waiver claims, so
// that nobody can ever set a rule aside for longer than that ahead.
func (l *waiverLoader) length(n *node, w *touchstone.Waiver) {
	if w.Until.IsZero() {
		return
	}
	today := l.now.UTC().Truncate(24 * time.Hour)
	for i, env := range l.rules.Environments {
		longest := l.rules.Waiving.Longest[i]
		if longest == 0 || len(w.Environments) > 0 && !slices.Contains(w.Environments, env) {
			continue
		}
		if end := today.Add(longest); w.Until.After(end.AddDate(0, 0, 1)) {
			hint := "until: " + end.Format(time.DateOnly) + " at the latest"
			if len(w.Environments) == 0 {
				hint += ", or name the environments that it is for"
			}
			l.fault(n.get("until"), "in "+env+" a waiver may run for "+touchstone.Days(longest)+" at most", hint)
			return
		}
	}
}
