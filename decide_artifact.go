package touchstone

import (
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
	var things []string
	for i := range q.c.Evidence.Secrets {
		s := &q.c.Evidence.Secrets[i]
		things = append(things, s.Path+" ("+s.Kind+")")
	}
	q.faults(things, "secret", "revoke it, then build without it (RUN --mount=type=secret); deleting it in a later layer leaves it readable")
}

func (q *query) unpinned() {
	var things []string
	for i := range q.c.Evidence.Pins {
		p := &q.c.Evidence.Pins[i]
		things = append(things, p.Tool+" "+p.What)
	}
	q.faults(things, "unpinned dependency", "touchstone pin Dockerfile --fix")
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
	const skew = 24 * time.Hour // clocks of builders may differ by time zones
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
		if MatchName(p, name) {
			q.pass(name)
			return
		}
	}
	q.failUnlessWaived(name, "push it to one of: "+strings.Join(q.row.List, ", "))
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
	var things []string
	for i := range q.c.Evidence.Packages {
		p := &q.c.Evidence.Packages[i]
		for _, expression := range p.Licences {
			if licenceDenied(expression, q.row.List) {
				things = append(things, p.Name+" ("+expression+")")
				break
			}
		}
	}
	q.faults(things, "package under a denied licence", "replace the package, or have its licence approved by a waiver")
}

// root fails when the artifact would run as user 0.
func (q *query) root() {
	if q.c.Artifact.Kind != KindImage && q.c.Question.User == "" {
		q.notApplicable("a file system does not say what runs in it")
		return
	}
	user := q.c.User()
	id, _, _ := strings.Cut(user, ":")
	switch {
	case id == "":
		q.failUnlessWaived("no user is set, so it runs as root", "add USER with a number above 0")
	case strings.Trim(id, "0") == "" || id == "root":
		q.failUnlessWaived("runs as "+user, "add USER with a number above 0")
	case q.c.Question.User == "" && q.c.Evidence.Configuration.UserID == "0":
		q.failUnlessWaived("runs as "+user+", which is user 0 in its etc/passwd", "add USER with a number above 0")
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
