package report

import (
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// location is where a failing thing lies: a file inside the artifact, or a line
// of its Dockerfile.
type location struct {
	path       string // "" where no file can be named
	line       int    // 0 where no line can be named
	layer      int    // -1 where no layer can be named
	dockerfile bool   // path and line are those of the Dockerfile
}

// locate finds where a thing lies that a rule says fails. Decide names things
// as people do, so they are found again by the same words.
func locate(c *touchstone.Check, r *touchstone.Reason, thing string, o Options) location {
	switch r.Rule {
	case "secrets":
		for i := range c.Secrets {
			s := &c.Secrets[i]
			if thing == s.Path+" ("+s.Kind+")" {
				if strings.HasPrefix(s.Path, "config: ") {
					return location{layer: -1}
				}
				return location{path: s.Path, line: s.Line, layer: s.Layer}
			}
		}
	case "unpinned":
		for i := range c.Pins {
			p := &c.Pins[i]
			if line := dockerfileLine(p); thing == p.Tool+" "+p.What && line > 0 && o.Dockerfile != "" {
				return location{path: o.Dockerfile, line: line, layer: -1, dockerfile: true}
			}
		}
		return location{layer: -1}
	case "gaps":
		for i := range c.Gaps {
			if g := &c.Gaps[i]; thing == g.Path {
				return location{path: g.Path, layer: g.Layer}
			}
		}
	case "denied-packages", "licences":
		name, _, _ := strings.Cut(thing, " (")
		for i := range c.Packages {
			if p := &c.Packages[i]; p.Name == name {
				return location{path: p.Path, layer: p.Layer}
			}
		}
	case "setuid", "shells", "package-managers", "interpreters", "network-tools", "debug-tools", "login-daemons", "world-writable":
		return location{path: thing, layer: -1}
	case "file-capabilities":
		path, _, _ := strings.Cut(thing, ": ")
		return location{path: path, layer: -1}
	}
	return location{layer: -1}
}

// dockerfileLine is the line that a pin was found at ("Dockerfile:12"); 0 when
// it was found elsewhere.
func dockerfileLine(p *touchstone.Pin) int {
	i := strings.LastIndexByte(p.Where, ':')
	if i < 0 {
		return 0
	}
	n, err := strconv.Atoi(p.Where[i+1:])
	if err != nil || n < 1 {
		return 0
	}
	return n
}
