package touchstone

import "strings"

// MatchPath reports whether the pattern covers the path of a file. Both may begin
// with a slash or not; the path is clean: without empty components, "." and "..".
//
// A pattern is compared component by component and covers whatever lies below
// what it fits, so that "/data" covers "data" and "data/a/b", and not "database".
// Within a component, "*" stands for any run of characters but a slash. A
// component "**" stands for any number of components, none included:
// "/srv/**/cache" covers "srv/cache" and "srv/a/b/cache/x". Everything else stands
// for itself. A pattern without a component covers nothing.
func MatchPath(pattern, path string) bool {
	pattern, path = strings.Trim(pattern, "/"), strings.TrimPrefix(path, "/")
	if pattern == "" || path == "" || climbs(path) {
		return false
	}
	again, from := "", "" // where to go on after the last "**", and one component further
	deep := false
	for pattern != "" {
		part, rest := component(pattern)
		if part == "**" {
			pattern, again, from, deep = rest, rest, path, true
			continue
		}
		if path != "" {
			if name, below := component(path); matchComponent(part, name) {
				pattern, path = rest, below
				continue
			}
		}
		if !deep || from == "" {
			return false
		}
		_, from = component(from)
		pattern, path = again, from
	}
	return true
}

// component cuts the first component off.
func component(path string) (first, rest string) {
	first, rest, _ = strings.Cut(path, "/")
	return first, rest
}

// climbs reports whether a component of the path is "..": it may lead out of what
// its beginning says.
func climbs(path string) bool {
	if !strings.Contains(path, "..") {
		return false
	}
	for path != "" {
		var name string
		if name, path = component(path); name == ".." {
			return true
		}
	}
	return false
}

// matchComponent reports whether the name fits the pattern, in which "*" stands for
// any run of characters.
func matchComponent(pattern, name string) bool {
	p, n, back, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			back, from = p+1, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
		case back >= 0:
			from++
			p, n = back, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
