package touchstone

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// gaps fails for what could not be read.
func (q *query) gaps() {
	var things []string
	for i := range q.c.Evidence.Gaps {
		g := &q.c.Evidence.Gaps[i]
		if g.Kind == GapFalse {
			continue
		}
		thing := g.Path
		if thing == "" {
			thing = g.Reason
		}
		things = append(things, thing)
	}
	q.faults(things, "part that could not be read", "repair or remove what cannot be read, or waive it with an owner and a date")
}

// secrets fails for what was left inside, hidden by a later layer or not.
func (q *query) secrets() {
	var things []part
	for i := range q.c.Evidence.Secrets {
		s := &q.c.Evidence.Secrets[i]
		things = append(things, part{s.Path, s.Path + " (" + s.Kind + ")"})
	}
	q.parts(things, "secret", "revoke it, then build without it (RUN --mount=type=secret); deleting it in a later layer leaves it readable")
}

// capable cuts "bin/ping: cap_net_raw" where the path ends: capabilities have no
// colon.
func capable(things []string) []part {
	parts := make([]part, len(things))
	for i, t := range things {
		parts[i] = part{t, t}
		if end := strings.LastIndex(t, ": "); end > 0 {
			parts[i].name = t[:end]
		}
	}
	return parts
}

func (q *query) unpinned() {
	var things []part
	for i := range q.c.Evidence.Pins {
		p := &q.c.Evidence.Pins[i]
		things = append(things, part{p.What, p.Tool + " " + p.What})
	}
	q.parts(things, "unpinned dependency", "touchstone pin Dockerfile --fix")
}

func (q *query) age() {
	created := q.c.Evidence.Created
	if created.IsZero() {
		if q.c.Artifact.Kind != KindImage {
			q.notApplicable("a file system does not say when it was built")
			return
		}
		q.unknown("the image does not say when it was built", "set SOURCE_DATE_EPOCH to the commit's time when building", false)
		return
	}
	age := q.c.Now.Sub(created)
	seen := "built " + created.UTC().Format(time.DateOnly) + ", " + ago(age)
	switch {
	case created.After(q.c.Now.Add(skew)):
		q.lapses(created.Add(-skew))
		q.failUnlessWaived("built in the future, "+created.UTC().Format(time.DateOnly), "build with a clock that is right")
	case q.cell.Limit.Allows(age.Hours()):
		q.keepsUntil(created, q.cell.Limit)
		q.pass(seen)
	default:
		q.failUnlessWaived(seen, "rebuild, then redeploy")
	}
}

func (q *query) registries() {
	name := q.c.Artifact.Name
	if name == "" {
		q.notApplicable("no name was given: --as NAME says what it is called")
		return
	}
	for _, p := range q.row.List {
		if ofRegistry(p, name) {
			q.pass(name)
			return
		}
	}
	q.failUnlessWaived(name, "push it to one of: "+strings.Join(q.row.List, ", "))
}

// ofRegistry reports whether the name is of the registry or repository that the
// pattern stands for. A "*" in the host does not reach beyond it, and another
// port is another registry: whoever owns "evil.example" owns
// "evil.example/x.registry.example" too.
func ofRegistry(pattern, name string) bool {
	wantHost, wantPath, deeper := strings.Cut(pattern, "/")
	host, path, _ := strings.Cut(name, "/")
	if wantHost != host && !(strings.Contains(wantHost, "*") && MatchName(wantHost, host)) {
		return false
	}
	return !deeper || MatchName(wantPath, path)
}

// names reports whether the pattern is about the package.
func names(pattern string, p *Package) bool {
	return MatchName(pattern, p.Name) || strings.HasPrefix(pattern, "pkg:") && MatchName(pattern, p.PURL)
}

func (q *query) denied() {
	var things []string
	for i := range q.c.Evidence.Packages {
		p := &q.c.Evidence.Packages[i]
		for _, pattern := range q.row.List {
			if names(pattern, p) {
				things = append(things, p.Name)
				break
			}
		}
	}
	q.faults(things, "denied package", "remove it")
}

func (q *query) required() {
	var missing []string
	for _, pattern := range q.row.List {
		found := false
		for i := range q.c.Evidence.Packages {
			if names(pattern, &q.c.Evidence.Packages[i]) {
				found = true
				break
			}
		}
		if !found {
			missing = append(missing, pattern)
		}
	}
	q.faults(missing, "missing package", "install "+strings.Join(missing, ", "))
}

func (q *query) licences() {
	var things []part
	for i := range q.c.Evidence.Packages {
		p := &q.c.Evidence.Packages[i]
		for _, expression := range p.Licences {
			if licenceDenied(expression, q.row.List) {
				things = append(things, part{p.Name, p.Name + " (" + expression + ")"})
				break
			}
		}
	}
	q.parts(things, "package under a denied licence", "replace the package, or have its licence approved by a waiver")
}

// root fails when the artifact would run as user 0, and is unknown where nobody
// can tell. Runtimes read a user as strconv.Atoi does, sign included, and look a
// name up in the artifact's etc/passwd.
func (q *query) root() {
	if q.c.Artifact.Kind != KindImage && q.c.Question.User == "" {
		q.notApplicable("a file system does not say what runs in it")
		return
	}
	const fix = "add USER with a number above 0"
	var image Configuration // of what was never inspected, the workload's own setting alone is known
	if q.c.Evidence != nil {
		image = q.c.Evidence.Configuration
	}
	user := q.c.User()
	name, _, _ := strings.Cut(user, ":")
	number := name
	if user == image.User && image.UserID != "" {
		number = image.UserID
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case q.c.Question.NotRoot && (name == "" || errors.Is(err, strconv.ErrSyntax) && name != "root"):
		q.pass("the runtime refuses root")
	case name == "":
		q.failUnlessWaived("no user is set, so it runs as root", fix)
	case name == "root", strings.Trim(name, "0") == "":
		q.failUnlessWaived("runs as "+user, fix)
	case errors.Is(err, strconv.ErrSyntax):
		q.unknown("runs as "+user+", and nothing says which number that is", fix, false)
	case n == 0:
		q.failUnlessWaived("runs as "+user+", which is user 0", fix)
	case n < 0, n > math.MaxInt32:
		q.failUnlessWaived("runs as "+user+", which is no user's number: some runtimes make root of it", fix)
	default:
		q.pass("runs as " + user)
	}
}

func (q *query) number(n int, one, many string) {
	seen := count(n, one, many)
	if q.cell.Limit.Allows(float64(n)) {
		q.pass(seen)
		return
	}
	q.failUnlessWaived(seen, "leave out what is not needed: build in one stage, copy into a slim base")
}

func (q *query) custom() {
	holds, err := q.row.When.Holds(q.c)
	switch {
	case err != nil:
		q.unknown("the rule's condition failed: "+err.Error(), "correct the condition; touchstone rules test shows what it sees", true)
	case holds:
		q.failUnlessWaived("its condition holds", "")
	default:
		q.pass("its condition does not hold")
	}
}
