package secrets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

// Environment returns the variables ("NAME=value") as they may be shown, and
// the secrets among them: values of variables whose name says that they hold
// one, and secrets by their looks in any other. Layer is -1.
func Environment(env []string, key []byte) (shown []string, found []touchstone.Secret) {
	r := redactor{key: key}
	shown = r.environment(env)
	return r.replaced(shown), r.found
}

// History returns the instructions as they may be shown, and the secrets in
// them. They are counted from 1, bottom first, in Path. Layer is -1.
func History(history []string, key []byte) (shown []string, found []touchstone.Secret) {
	r := redactor{key: key}
	shown = r.history(history)
	return r.replaced(shown), r.found
}

// Redact returns the configuration as it may be shown, and the secrets in all
// its parts: environment, history, entrypoint, command and labels. A secret that
// was found in one part is replaced wherever else it stands, and is told once.
// cfg itself is not changed.
func Redact(cfg touchstone.Configuration, key []byte) (touchstone.Configuration, []touchstone.Secret) {
	r := redactor{key: key}
	cfg.Environment = r.environment(cfg.Environment)
	cfg.Entrypoint = r.arguments("config: entrypoint", cfg.Entrypoint)
	cfg.Command = r.arguments("config: command", cfg.Command)
	labels := make(map[string]string, len(cfg.Labels))
	for _, name := range slices.Sorted(maps.Keys(cfg.Labels)) {
		labels[name] = r.variable("config: label "+name, name, cfg.Labels[name])
	}
	cfg.History = r.history(cfg.History)

	cfg.Environment, cfg.Entrypoint, cfg.Command, cfg.History =
		r.replaced(cfg.Environment), r.replaced(cfg.Entrypoint), r.replaced(cfg.Command), r.replaced(cfg.History)
	if cfg.Labels != nil {
		for name, value := range labels {
			labels[name] = r.replace(value)
		}
		cfg.Labels = labels
	}
	return cfg, r.found
}

// redactor collects the secrets of one configuration.
type redactor struct {
	key    []byte
	found  []touchstone.Secret
	values map[string]string // what is put in their place
}

// shortestReplaced is the length from which a secret is replaced wherever it
// stands: a shorter one may be a word that means something else there.
const shortestReplaced = 6

// mask records a secret and returns what is shown in its stead.
func (r *redactor) mask(kind, place, value string) string {
	print := Fingerprint(r.key, []byte(value))
	if len(r.found) < 10*maxFound && !slices.ContainsFunc(r.found, func(s touchstone.Secret) bool { return s.Fingerprint == print }) {
		r.found = append(r.found, touchstone.Secret{Kind: kind, Path: place, Layer: -1, Fingerprint: print})
	}
	shown := "***[" + print + "]"
	r.everywhere(value, shown)
	return shown
}

// everywhere has a value replaced wherever it stands. Only so many are, because
// each means reading everything once more.
func (r *redactor) everywhere(value, shown string) {
	if len(value) < shortestReplaced || len(r.values) >= 2*maxFound {
		return
	}
	if r.values == nil {
		r.values = map[string]string{}
	}
	r.values[value] = shown
}

func (r *redactor) replaced(texts []string) []string {
	for i, t := range texts {
		texts[i] = r.replace(t)
	}
	return texts
}

// replace puts the masks in place of every secret found, longest first, so that
// the rest of a long one does not stay behind a short one.
func (r *redactor) replace(text string) string {
	values := slices.SortedFunc(maps.Keys(r.values), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	for _, v := range values {
		text = strings.ReplaceAll(text, v, r.values[v])
	}
	return text
}

func (r *redactor) environment(env []string) []string {
	shown := slices.Clone(env)
	for i, v := range env {
		if name, value, ok := strings.Cut(v, "="); ok {
			shown[i] = name + "=" + r.variable("config: env "+name, name, value)
		}
	}
	return shown
}

// variable returns the value of a named thing as it may be shown.
func (r *redactor) variable(place, name, value string) string {
	if secretName(name) && isSecret(value) {
		kind := "password"
		if m := settled(tokens([]byte(value))); len(m) == 1 {
			kind = m[0].kind
		}
		return r.mask(kind, place, value)
	}
	return r.text(place, value)
}

func (r *redactor) arguments(place string, args []string) []string {
	shown := slices.Clone(args)
	for i, a := range args {
		if i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "=") && secretName(args[i-1]) && isSecret(a) {
			shown[i] = r.mask("password", place, a)
			continue
		}
		shown[i] = r.text(place, a)
	}
	return shown
}

func (r *redactor) history(history []string) []string {
	shown := slices.Clone(history)
	for i, h := range history {
		shown[i] = r.text(fmt.Sprintf("config: history %d", i+1), h)
	}
	return shown
}

// text returns a text as it may be shown: tokens, passwords in addresses and
// what the options and assignments of a command hold are replaced.
func (r *redactor) text(place, text string) string {
	raw := []byte(text)
	found := tokens(raw)
	urls(raw, func(m match) { found = append(found, m) })
	found = append(found, inCommand(text)...)
	var shown strings.Builder
	end := 0
	for _, m := range settled(found) {
		from := max(m.from, end) // the end of a secret that overlaps another is one, too
		shown.WriteString(text[end:from])
		if m.from >= end {
			masked := r.mask(m.kind, place, string(m.secret(raw)))
			r.everywhere(text[m.from:m.to], masked)
			shown.WriteString(masked)
		}
		end = m.to
	}
	shown.WriteString(text[end:])
	return shown.String()
}
