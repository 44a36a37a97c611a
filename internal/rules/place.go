package rules

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
)

func knownClasses() []string {
	return words([]touchstone.Class{touchstone.ClassApplication, touchstone.ClassDataScience, touchstone.ClassSystem})
}

func exposures() []string {
	return words([]touchstone.Exposure{touchstone.ExposureInternal, touchstone.ExposureControlled, touchstone.ExposureOpen})
}

func impacts() []string {
	return words([]touchstone.Impact{touchstone.ImpactLow, touchstone.ImpactMedium, touchstone.ImpactHigh, touchstone.ImpactVeryHigh})
}

func placeKeys() []string {
	return []string{"cluster", "namespace", "node", "labels", "environment", "class", "sensitivity", "exposure", "impact", "owner"}
}

// places reads the rows that say what a place is; the first that matches wins.
func (l *loader) places(n *node) {
	if n == nil {
		return
	}
	if n.kind != kindList {
		l.fault(n, "places must be a list, not "+n.kind.String(), "- {cluster: pay-*, environment: prod}")
		return
	}
	for _, item := range n.items {
		if !l.keys(item, placeKeys(), "a place") {
			continue
		}
		row, anywhere := touchstone.PlaceRule{}, true
		for _, e := range item.entries {
			switch e.key.text {
			case "cluster", "namespace", "node", "labels":
				anywhere = false
			}
			if slices.Contains(placeKeys(), e.key.text) {
				l.placeKey(e, &row)
			}
		}
		if anywhere && item != n.items[len(n.items)-1] {
			l.warn(item, "this place matches everything, so those below it are never reached", "name a cluster, namespace, node or labels")
		}
		l.rules.Places = append(l.rules.Places, row)
	}
}

func (l *loader) placeKey(e entry, row *touchstone.PlaceRule) {
	n := e.value
	if e.key.text == "labels" {
		row.Labels = l.labels(n)
		return
	}
	value, ok := l.word(n, e.key.text)
	if !ok {
		return
	}
	switch e.key.text {
	case "cluster":
		row.Cluster = value
	case "namespace":
		row.Namespace = value
	case "node":
		row.Node = value
	case "environment":
		l.environment(n, value, l.rules.Environments)
		row.Place.Environment = value
	case "class":
		row.Place.Class = touchstone.Class(l.known(n, "class", value, l.classNames))
	case "exposure":
		row.Place.Exposure = touchstone.Exposure(l.known(n, "exposure", value, exposures()))
	case "impact":
		row.Place.Impact = touchstone.Impact(l.known(n, "impact", value, impacts()))
	case "sensitivity":
		row.Place.Sensitivity = value
	case "owner":
		row.Place.Owner = value
	}
}

// known notes a word that is not among the valid ones.
func (l *loader) known(n *node, what, word string, valid []string) string {
	if !slices.Contains(valid, word) {
		l.fault(n, "there is no "+what+" "+quote(word), didYouMean(word, valid))
	}
	return word
}

func (l *loader) labels(n *node) map[string]string {
	if n.kind != kindTable || len(n.entries) == 0 {
		l.fault(n, "labels must be a table of names and patterns, not "+n.kind.String(), "labels: {team: pay-*}")
		return nil
	}
	l.twice(n)
	out := make(map[string]string, len(n.entries))
	for _, e := range n.entries {
		if v, ok := l.word(e.value, "the label "+e.key.text); ok {
			out[e.key.text] = v
		}
	}
	return out
}

// classes reads what is different for a class of workload, in the environments
// that "where" names and nowhere else.
func (l *loader) classes(n *node) {
	if n == nil {
		return
	}
	if n.kind != kindTable {
		l.fault(n, "classes must be a table, not "+n.kind.String(), "data-science: {where: [dev], login: allow}")
		return
	}
	l.twice(n)
	for _, e := range n.entries {
		l.class(e)
	}
}

func (l *loader) class(e entry) {
	name, n := e.key.text, e.value
	if !wordPattern.MatchString(name) {
		l.fault(e.key, quote(name)+" cannot be the name of a class", "letters, digits, dots and hyphens")
	}
	if n.kind != kindTable {
		l.fault(n, "the class "+name+" must be a table, not "+n.kind.String(), name+": {where: [dev], login: allow}")
		return
	}
	l.twice(n)
	class := touchstone.ClassRule{Class: touchstone.Class(name), Cells: map[string]touchstone.Cell{}}
	where := n.get("where")
	if where == nil {
		l.fault(e.key, "the class "+name+" does not say where it holds", "where: [dev, test]; no class changes anything elsewhere")
	} else if names, ok := l.words(where, "where"); ok {
		for i, env := range names {
			if env == "others" {
				l.fault(where.items[i], "where names environments one by one", didYouMean("", l.rules.Environments))
				continue
			}
			l.environment(where.items[i], env, l.rules.Environments)
		}
		class.Where = names
	}
	for _, c := range n.entries {
		if c.key.text != "where" {
			l.classCell(&class, c)
		}
	}
	if len(class.Cells) == 0 && len(n.entries) <= 1 {
		l.warn(e.key, "the class "+name+" changes no row", "take it out, or say what is different: login: allow")
	}
	l.rules.Classes = append(l.rules.Classes, class)
}

func (l *loader) classCell(class *touchstone.ClassRule, e entry) {
	name := e.key.text
	row := l.rules.Row(name)
	m, builtIn := measure(name)
	switch {
	case row == nil && later(name) != "":
		l.fault(e.key, later(name), "take it out until then")
		return
	case row == nil && builtIn:
		l.fault(e.key, "the class "+string(class.Class)+" changes the row "+name+", which the rules do not have", "add the row, or take this out")
		return
	case row == nil:
		valid := []string{"where"}
		for i := range l.rules.Rows {
			valid = append(valid, l.rules.Rows[i].Name)
		}
		l.fault(e.key, "there is no rule "+quote(name), didYouMean(name, valid))
		return
	case !builtIn:
		m = touchstone.Measure{Name: name, Takes: touchstone.TakesEffect}
	}
	cell, ok := l.cellOf(e.value, m)
	if !ok {
		return
	}
	class.Cells[name] = cell
	last := len(l.rules.Environments) - 1
	if slices.Contains(class.Where, l.last()) && len(row.Cells) > last && cell.Milder(row.Cells[last]) {
		l.warn(e.value, "the class "+string(class.Class)+" loosens "+name+" in "+l.last()+", the strictest environment", "")
	}
}

// ParsePlace reads the place of a question from the command line:
// "cluster=pay-1,namespace=cart,exposure=open". Keys are those of a row of
// places, with label.NAME=VALUE for a label of the namespace. What the rows of
// places say holds, unless the text says otherwise; Assumed lists what neither
// says.
func ParsePlace(text string, r *touchstone.Rules) (touchstone.Place, error) {
	given, labels := map[string]string{}, map[string]string{}
	valid := append(slices.DeleteFunc(placeKeys(), func(k string) bool { return k == "labels" }), "label.NAME")
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		key, value, found := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		label, isLabel := strings.CutPrefix(key, "label.")
		switch {
		case !found && slices.Contains(r.Environments, key):
			return touchstone.Place{}, usage("the place "+quote(key)+" is an environment", "--env "+key+", or --place environment="+key)
		case !found || value == "":
			return touchstone.Place{}, usage("the place "+quote(part)+" is not KEY=VALUE", "cluster=…,namespace=…,class=…")
		case isLabel && label != "":
			labels[label] = value
		case !slices.Contains(valid, key):
			return touchstone.Place{}, usage("a place has no key "+quote(key), didYouMean(key, valid))
		case given[key] != "":
			return touchstone.Place{}, usage("the place names "+key+" twice", "keep one of them")
		default:
			given[key] = value
		}
	}
	return placeGiven(given, labels, r)
}

// placeGiven looks the place up in the rules, then lets what was said stand.
func placeGiven(given, labels map[string]string, r *touchstone.Rules) (touchstone.Place, error) {
	p := r.PlaceOf(given["cluster"], given["namespace"], given["node"], labels)
	classes := knownClasses()
	for i := range r.Classes {
		if name := string(r.Classes[i].Class); !slices.Contains(classes, name) {
			classes = append(classes, name)
		}
	}
	said := func(key string, valid []string) (string, error) {
		v := given[key]
		if v != "" && valid != nil && !slices.Contains(valid, v) {
			return "", usage("there is no "+key+" "+quote(v), didYouMean(v, valid))
		}
		if v != "" {
			p.Assumed = slices.DeleteFunc(p.Assumed, func(s string) bool { return strings.HasPrefix(s, key+" ") })
		}
		return v, nil
	}
	env, err := said("environment", r.Environments)
	if err != nil {
		return touchstone.Place{}, err
	}
	class, err := said("class", classes)
	if err != nil {
		return touchstone.Place{}, err
	}
	exposure, err := said("exposure", exposures())
	if err != nil {
		return touchstone.Place{}, err
	}
	impact, err := said("impact", impacts())
	if err != nil {
		return touchstone.Place{}, err
	}
	p.Environment = orElse(env, p.Environment)
	p.Impact = touchstone.Impact(orElse(impact, string(p.Impact)))
	p.Class = touchstone.Class(orElse(class, string(p.Class)))
	p.Exposure = touchstone.Exposure(orElse(exposure, string(p.Exposure)))
	p.Sensitivity = orElse(given["sensitivity"], p.Sensitivity)
	p.Owner = orElse(given["owner"], p.Owner)
	return p, nil
}
