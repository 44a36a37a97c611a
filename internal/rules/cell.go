package rules

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

// A cell says what happens in one environment:
//
//	cell   = action [ "after" time ]
//	action = "any" | "allow" | "keep" | effect | limit [ "else" effect ]
//	limit  = ( "at most" | "<=" | "below" | "<" ) ( number | time ) | ( "at least" | ">=" ) time
//	       | digits "of" group
//	time   = digits ( "d" | "h" )
//
// A limit that is passed refuses, unless else says otherwise.

var (
	cellPattern  = regexp.MustCompile(`^(.*?)(?:\s+after\s+(\S+))?$`)
	limitPattern = regexp.MustCompile(`^(at most|<=|below|<|at least|>=)\s*(\S+?)(?:\s+else\s+(\S+))?$`)
	ofPattern    = regexp.MustCompile(`^(?i:(\d{1,3}) of) (\S+)(?i: else (\S+))?$`)
	abovePattern = regexp.MustCompile(`^(warn|refuse|approve)\s+(?:above|over|>)\s*(\S+)$`)
	spokenTime   = regexp.MustCompile(`(\d+) ?(d|h)(?:ays?|ours?)`)
	timePattern  = regexp.MustCompile(`^(\d{1,6})([dh])$`)
	wordPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// cellOf reads the cell of a rule. It reports false after a fault.
func (r *reader) cellOf(n *node, m touchstone.Measure) (touchstone.Cell, bool) {
	var none touchstone.Cell
	if n.kind != kindScalar {
		r.fault(n, "what happens must be a few words, not "+n.kind.String(), m.Name+" takes "+takes(m))
		return none, false
	}
	if m.Takes == touchstone.TakesApprovals {
		return r.approvals(n, m)
	}
	parts := cellPattern.FindStringSubmatch(strings.ToLower(strings.Join(strings.Fields(n.text), " ")))
	if parts == nil {
		r.badCell(n, m)
		return none, false
	}
	cell, ok := r.action(n, parts[1], m)
	if !ok || parts[2] == "" {
		return cell, ok
	}
	return r.after(n, cell, parts[2], m)
}

func (r *reader) action(n *node, s string, m touchstone.Measure) (touchstone.Cell, bool) {
	if s == "any" || s == "allow" || s == keep && m.Takes == touchstone.TakesEnd {
		return touchstone.Cell{Effect: touchstone.EffectNone}, true
	}
	if !m.Takes.Limited() {
		if slices.Contains(effects(m), touchstone.Effect(s)) {
			return touchstone.Cell{Effect: touchstone.Effect(s)}, true
		}
		r.badCell(n, m)
		return touchstone.Cell{}, false
	}
	parts := limitPattern.FindStringSubmatch(s)
	if parts == nil {
		r.badCell(n, m)
		return touchstone.Cell{}, false
	}
	limit, problem := limitOf(parts[1], parts[2], m)
	if problem != "" {
		r.fault(n, problem, m.Name+" takes "+takes(m))
		return touchstone.Cell{}, false
	}
	effect := touchstone.EffectRefuse
	if parts[3] != "" {
		effect = touchstone.Effect(parts[3])
	}
	if !slices.Contains(effects(m), effect) {
		r.fault(n, quote(parts[3])+" cannot stand after else", didYouMean(parts[3], words(effects(m))))
		return touchstone.Cell{}, false
	}
	return touchstone.Cell{Effect: effect, Limit: limit}, true
}

// approvals reads how many of a group must say yes: "2 of release". A group keeps
// its capitals.
func (r *reader) approvals(n *node, m touchstone.Measure) (touchstone.Cell, bool) {
	text := strings.Join(strings.Fields(n.text), " ")
	if low := strings.ToLower(text); low == "any" || low == "allow" {
		return touchstone.Cell{Effect: touchstone.EffectNone}, true
	}
	parts := ofPattern.FindStringSubmatch(text)
	if parts == nil {
		r.badCell(n, m)
		return touchstone.Cell{}, false
	}
	need, _ := strconv.Atoi(parts[1]) // at most three digits, says the pattern
	if need == 0 {
		r.fault(n, "0 approvals are none", "write any, or 1 of "+parts[2])
		return touchstone.Cell{}, false
	}
	cell := touchstone.Cell{Effect: touchstone.EffectRefuse, Group: parts[2]}
	cell.Limit = touchstone.Limit{Op: touchstone.AtLeast, Value: float64(need)}
	if slices.Contains([]string{"anyone", "anybody", "any"}, strings.ToLower(parts[2])) {
		cell.Group = touchstone.Anyone
	}
	if parts[3] != "" {
		cell.Effect = touchstone.Effect(strings.ToLower(parts[3]))
	}
	if !slices.Contains(effects(m), cell.Effect) {
		r.fault(n, quote(parts[3])+" cannot stand after else", didYouMean(parts[3], words(effects(m))))
		return touchstone.Cell{}, false
	}
	return cell, true
}

func (r *reader) after(n *node, cell touchstone.Cell, text string, m touchstone.Measure) (touchstone.Cell, bool) {
	switch {
	case !m.After:
		r.fault(n, m.Name+" takes no \"after\": it is not about vulnerabilities, which have a day from which the time counts",
			"from: DATE in the row makes the whole rule warn until a day")
		return cell, false
	case cell.Effect == touchstone.EffectNone:
		r.fault(n, "what is allowed needs no \"after\"", "say what happens after that time: refuse after "+text)
		return cell, false
	}
	d, problem := lengthOf(text)
	if problem != "" {
		r.fault(n, problem, "days or hours: refuse after 30d")
		return cell, false
	}
	cell.After = d
	return cell, true
}

// limitOf returns the limit, or what is wrong with it.
func limitOf(op, value string, m touchstone.Measure) (touchstone.Limit, string) {
	limit := touchstone.Limit{Op: touchstone.AtMost}
	switch op {
	case "below", "<":
		limit.Op = touchstone.Below
	case "at least", ">=":
		limit.Op = touchstone.AtLeast
	}
	switch wait := m.Takes == touchstone.TakesWait; {
	case wait && limit.Op != touchstone.AtLeast:
		return limit, m.Name + " is a time to wait: it has no most"
	case !wait && limit.Op == touchstone.AtLeast:
		return limit, m.Name + " has no least: it is good when it is small"
	case wait, m.Takes == touchstone.TakesTime:
		d, problem := lengthOf(value)
		limit.Unit, limit.Value = touchstone.UnitTime, d.Hours()
		return limit, problem
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return limit, quote(value) + " is not a number"
	}
	limit.Value = v
	switch {
	case m.Name == "cvss" && v > 10:
		return limit, "a CVSS score is at most 10, not " + value
	case m.Name == "epss" && v > 1:
		return limit, "an EPSS probability is at most 1, not " + value
	case m.Name != "cvss" && m.Name != "epss" && v != math.Trunc(v):
		return limit, m.Name + " counts things: " + value + " is not a whole number"
	}
	return limit, ""
}

// lengthOf reads a length of time in days or hours ("30d", "24h").
func lengthOf(s string) (time.Duration, string) {
	const longest = 36500 // days
	parts := timePattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, quote(s) + " is not a length of time"
	}
	n, _ := strconv.Atoi(parts[1]) // at most six digits, says the pattern
	hours := n
	if parts[2] == "d" {
		hours = n * 24
	}
	if n == 0 || hours > longest*24 {
		return 0, quote(s) + " is no sensible length of time"
	}
	return time.Duration(hours) * time.Hour, ""
}

// badCell explains what the rule's cells may hold, and what was probably meant.
func (r *reader) badCell(n *node, m touchstone.Measure) {
	text := strings.ToLower(strings.TrimSpace(n.text))
	hint := m.Name + " takes " + takes(m)
	first, rest, _ := strings.Cut(text, " ")
	limited := m.Takes == touchstone.TakesNumber || m.Takes == touchstone.TakesTime
	digits := regexp.MustCompile(`^\d{1,3}$`)
	days := spokenTime.ReplaceAllString(text, "$1$2")
	parts := abovePattern.FindStringSubmatch(text)
	_, notNumber := strconv.ParseFloat(text, 64)
	near := nearest(first, append(words(effects(m)), "any", "allow", mildest(m)))
	switch {
	case m.Takes == touchstone.TakesWait && timePattern.MatchString(days):
		hint = "did you mean at least " + days + "?"
	case m.Takes == touchstone.TakesApprovals && digits.MatchString(first):
		hint = "did you mean " + first + " of " + orElse(rest, touchstone.Anyone) + "?"
	case days != text:
		hint = "did you mean " + days + "?"
	case limited && parts != nil && parts[1] == "refuse":
		hint = "did you mean at most " + parts[2] + "?"
	case limited && parts != nil:
		hint = "did you mean at most " + parts[2] + " else " + parts[1] + "?"
	case limited && (notNumber == nil || timePattern.MatchString(text)):
		hint = "did you mean at most " + text + ", or below " + text + "?"
	case limited && nearest(first, []string{"below"}) != "":
		hint = "did you mean below " + rest + "?"
	case !limited && near != "":
		hint = "did you mean " + strings.TrimSpace(near+" "+rest) + "?"
	}
	r.fault(n, fmt.Sprintf("%s cannot stand in the row %s", quote(n.text), m.Name), hint)
}

// effects returns what may follow when a rule of this kind fails.
func effects(m touchstone.Measure) []touchstone.Effect {
	switch m.Takes {
	case touchstone.TakesAct:
		return []touchstone.Effect{touchstone.EffectAlert, touchstone.EffectBlock, touchstone.EffectKill}
	case touchstone.TakesDenial:
		return []touchstone.Effect{touchstone.EffectAlert, touchstone.EffectBlock}
	case touchstone.TakesEnd:
		return []touchstone.Effect{touchstone.EffectStop}
	case touchstone.TakesLeave:
		return []touchstone.Effect{touchstone.EffectApprove, touchstone.EffectRefuse}
	case touchstone.TakesApprovals:
		return []touchstone.Effect{touchstone.EffectWarn, touchstone.EffectRefuse}
	default:
		return []touchstone.Effect{touchstone.EffectWarn, touchstone.EffectRefuse, touchstone.EffectApprove}
	}
}

// takes says what the cells of a rule may hold.
func takes(m touchstone.Measure) string {
	after := ""
	if m.After {
		after = `; "after 30d" may follow`
	}
	switch m.Takes {
	case touchstone.TakesNumber:
		example := map[string]string{"cvss": "7", "epss": "0.1"}[m.Name]
		if example == "" {
			example = "10"
		}
		return "any, at most " + example + ", below " + example + ", at most " + example + " else warn" + after
	case touchstone.TakesTime:
		return "any, at most 30d, below 24h, at most 30d else warn"
	case touchstone.TakesAct:
		return "allow, alert, block or kill"
	case touchstone.TakesDenial:
		return "allow, alert or block; what nobody could judge is no reason to stop a container"
	case touchstone.TakesEnd:
		return "keep or stop"
	case touchstone.TakesWait:
		return "any, at least 24h, at least 7d else warn"
	case touchstone.TakesApprovals:
		return "any, 2 of release, 1 of anyone, 1 of release else warn"
	case touchstone.TakesLeave:
		return "allow, approve or refuse"
	default:
		return "allow, warn, refuse or approve" + after
	}
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func quote(s string) string { return `"` + s + `"` }
