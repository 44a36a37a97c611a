package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"touchstone.dev/touchstone"
)

func writableKeys() []string {
	return []string{"image", "paths", "cluster", "namespace", "class", "environments", "because", "owner"}
}

// writable reads the places of what runs that are written to as a matter of course.
func (l *loader) writable(n *node) {
	if n == nil {
		return
	}
	if n.kind != kindList {
		l.fault(n, "writable must be a list, not "+n.kind.String(), "- {image: shop/*, paths: [/var/cache], because: …, owner: …}")
		return
	}
	for _, item := range n.items {
		if !l.keys(item, writableKeys(), "a writable place") {
			continue
		}
		var w touchstone.Writable
		for _, e := range item.entries {
			l.writableKey(e, &w)
		}
		switch {
		case item.get("paths") == nil:
			l.fault(item, "the writable place names no paths", "paths: [/var/cache, /data]")
		case item.get("because") == nil:
			l.fault(item, "the writable place does not say why it is written to", "because: people follow what they understand")
		}
		l.rules.Writable = append(l.rules.Writable, w)
	}
}

func (l *loader) writableKey(e entry, w *touchstone.Writable) {
	n := e.value
	switch e.key.text {
	case "image":
		w.Image, _ = l.word(n, "image")
	case "paths":
		w.Paths, _ = l.words(n, "paths")
		for i, p := range w.Paths {
			l.path(n.items[i], p)
		}
		if len(w.Paths) == 0 && n.kind == kindList {
			l.fault(n, "paths is empty", "paths: [/var/cache, /data]")
		}
	case "cluster":
		w.Cluster, _ = l.word(n, "cluster")
	case "namespace":
		w.Namespace, _ = l.word(n, "namespace")
	case "class":
		if name, ok := l.word(n, "class"); ok {
			w.Class = touchstone.Class(l.known(n, "class", name, l.classNames))
		}
	case "environments":
		w.Environments = l.someEnvironments(n)
	case "because":
		w.Because, _ = l.word(n, "because")
	case "owner":
		w.Owner, _ = l.word(n, "owner")
	}
}

// someEnvironments reads a list of environments that is not empty.
func (l *loader) someEnvironments(n *node) []string {
	names, _ := l.words(n, "environments")
	for i, env := range names {
		l.environment(n.items[i], env, l.rules.Environments)
	}
	if len(names) == 0 && n.kind == kindList {
		l.fault(n, "environments is empty", "name them, or leave the key out for all of them")
	}
	return names
}

// path notes what no pattern of a path can be.
func (l *loader) path(n *node, pattern string) {
	if pattern == "" {
		return // already told
	}
	parts := strings.Split(strings.Trim(pattern, "/"), "/")
	vague := func(part string) bool { return strings.Trim(part, "*") == "" }
	odd := func(part string) bool { return part == "" || part == "." || part == ".." }
	inside := func(part string) bool { return part != "**" && strings.Contains(part, "**") }
	switch {
	case !strings.HasPrefix(pattern, "/"):
		l.fault(n, "the path "+quote(pattern)+" does not begin at the root", "write /"+pattern)
	case !slices.ContainsFunc(parts, func(part string) bool { return !vague(part) }):
		l.fault(n, "the path "+quote(pattern)+" is everything there is", "name the folder that is meant")
	case slices.ContainsFunc(parts, odd):
		l.fault(n, "the path "+quote(pattern)+" takes a detour", "write it without //, . and ..")
	case slices.ContainsFunc(parts, inside):
		l.fault(n, `in the path `+quote(pattern)+`, "**" is a part of a name`, `"**" stands between slashes, for any number of folders; "*" within a name`)
	}
}

func guardKeys() []string {
	return []string{"keep-files", "keep-data", "most-stops", "dry-run", "managed"}
}

// guard reads what the rules say to a guard besides their rows.
func (l *loader) guard(n *node) {
	g := &l.rules.Guard
	if *g = touchstone.DefaultGuarding(); n == nil || !l.keys(n, guardKeys(), "guard") {
		return
	}
	for _, e := range n.entries {
		switch v := e.value; e.key.text {
		case "keep-files":
			g.KeepFiles = l.bytes(v, "keep-files")
		case "keep-data":
			g.KeepData = l.yes(v, "keep-data")
		case "most-stops":
			g.MostStops = l.count(v, "most-stops")
		case "dry-run":
			g.DryRun = l.lengthOrNone(v, "dry-run")
		case "managed":
			l.managed(v)
		}
	}
}

// managed reads the configuration management that is declared for hosts.
func (l *loader) managed(n *node) {
	if n.kind != kindList {
		l.fault(n, "managed must be a list, not "+n.kind.String(), "- {by: puppet, program: /opt/puppetlabs}")
		return
	}
	for _, item := range n.items {
		if !l.keys(item, []string{"by", "program"}, "a configuration management") {
			continue
		}
		by, program := item.get("by"), item.get("program")
		if by == nil || program == nil {
			l.fault(item, "a configuration management has a name and a program", "{by: puppet, program: /opt/puppetlabs}")
			continue
		}
		var m touchstone.Managed
		m.By, _ = l.word(by, "by")
		m.Program, _ = l.word(program, "program")
		l.path(program, m.Program)
		l.rules.Guard.Managed = append(l.rules.Guard.Managed, m)
	}
}

var sizePattern = regexp.MustCompile(`^(?i:(\d{1,6}) ?(b|kb|mb|gb)?)$`)

// bytes reads a size: "10MB", in powers of 1000.
func (l *loader) bytes(n *node, what string) int64 {
	text, ok := l.word(n, what)
	if !ok {
		return 0
	}
	parts := sizePattern.FindStringSubmatch(text)
	if parts == nil || parts[2] == "" && strings.Trim(text, "0") != "" {
		l.fault(n, what+": "+quote(text)+" is not a size", "10MB, 500kB, or 0 for nothing")
		return 0
	}
	v, _ := strconv.ParseInt(parts[1], 10, 64) // at most six digits, says the pattern
	return v * map[string]int64{"kb": 1e3, "mb": 1e6, "gb": 1e9, "b": 1, "": 1}[strings.ToLower(parts[2])]
}

// count reads a whole number.
func (l *loader) count(n *node, what string) int {
	const most = 10_000
	text, ok := l.word(n, what)
	v, err := strconv.Atoi(text)
	if ok && (err != nil || v < 0 || v > most) {
		l.fault(n, what+" is a whole number up to "+itoa(most)+", not "+quote(text), "")
		return 0
	}
	return v
}

// lengthOrNone reads a length of time in days or hours, which may be none.
func (l *loader) lengthOrNone(n *node, what string) time.Duration {
	text, ok := l.word(n, what)
	if !ok || text == "0d" || text == "0h" {
		return 0
	}
	d, problem := lengthOf(text)
	if problem != "" {
		l.fault(n, problem, what+": 7d, 12h, or 0d for none")
	}
	return d
}

var gracePattern = regexp.MustCompile(`^(\d{1,5})([smh])$`)

// grace reads how long after its start acts on what runs are only told: in minutes,
// for nothing takes days to start.
func (l *loader) grace(e entry, rule *touchstone.Rule) {
	const longest = 24 * time.Hour
	switch rule.Name {
	case touchstone.RuleRunUnknown, touchstone.RuleChange, touchstone.RuleLogin:
	default:
		l.fault(e.key, "the row "+rule.Name+" takes no grace", "grace is for run-unknown, change and login: what comes right after the start")
		return
	}
	text, ok := l.word(e.value, "grace")
	if !ok {
		return
	}
	parts := gracePattern.FindStringSubmatch(text)
	if parts == nil {
		l.fault(e.value, quote(text)+" is not a short length of time", "minutes, seconds or hours: grace: 5m")
		return
	}
	v, _ := strconv.Atoi(parts[1]) // at most five digits, says the pattern
	d := time.Duration(v) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[parts[2]]
	if d <= 0 || d > longest {
		l.fault(e.value, "a grace period is more than nothing and at most "+touchstone.Days(longest)+", not "+quote(text), "grace: 5m")
		return
	}
	rule.Grace = d
}

// watched reports whether the rules ask about acts on what runs.
func watched(r *touchstone.Rules) bool {
	for _, name := range []string{touchstone.RuleRunUnknown, touchstone.RuleRunUnjudged, touchstone.RuleChange, touchstone.RuleLogin} {
		if r.Row(name) != nil {
			return true
		}
	}
	return false
}

// writableText says where what runs may write.
func writableText(r *touchstone.Rules) titled {
	out := titled{title: "Writable places (only what can be executed counts there)"}
	for i := range r.Writable {
		w := &r.Writable[i]
		var at []string
		for _, word := range []struct{ what, value string }{{"", w.Image}, {"cluster ", w.Cluster}, {"namespace ", w.Namespace}, {"", string(w.Class)}, {"in ", strings.Join(w.Environments, ", ")}} {
			if word.value != "" {
				at = append(at, word.what+word.value)
			}
		}
		s := orElse(strings.Join(at, ", "), "anything") + ": " + strings.Join(w.Paths, ", ") + ", because " + w.Because
		if w.Owner != "" {
			s += " (owner " + w.Owner + ")"
		}
		out.lines = append(out.lines, Printable(s))
	}
	return out
}

// guardText says what a guard keeps to.
func guardText(r *touchstone.Rules) titled {
	out, g := titled{title: "The guard"}, &r.Guard
	if !watched(r) {
		return out
	}
	keeps := "keeps " + sizeText(g.KeepFiles) + " of changed executables as evidence"
	if g.KeepData {
		keeps += ", and of other files"
	}
	run := "kill acts as block for " + touchstone.Days(g.DryRun) + " of clean days first"
	if g.DryRun == 0 {
		run = "kill kills at once"
	}
	stops := "stops at most " + itoa(g.MostStops) + " containers of a node in a minute, and only alerts beyond"
	if g.MostStops == 0 {
		stops = "stops no container"
	}
	if g.KeepFiles == 0 {
		keeps = "keeps no files as evidence"
	}
	out.lines = []string{keeps, stops, run}
	for _, m := range g.Managed {
		out.lines = append(out.lines, Printable("changes by "+m.By+" ("+m.Program+") are no drift"))
	}
	return out
}

// sizeText writes a size as the file does.
func sizeText(n int64) string {
	switch {
	case n > 0 && n%1e9 == 0:
		return strconv.FormatInt(n/1e9, 10) + "GB"
	case n > 0 && n%1e6 == 0:
		return strconv.FormatInt(n/1e6, 10) + "MB"
	case n > 0 && n%1e3 == 0:
		return strconv.FormatInt(n/1e3, 10) + "kB"
	default:
		return strconv.FormatInt(n, 10) + "B"
	}
}
