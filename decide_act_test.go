package touchstone

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const toolDigest = Digest("sha256:ab12cd34ef56ab12cd34ef56ab12cd34ef56ab12cd34ef56ab12cd34ef56ab12")

// executed is a case of a program that the image does not have.
func executed() *Case {
	c := plainCase()
	c.Question = Question{
		Occasion: OccasionExecute, Place: Place{Environment: "prod", Class: ClassApplication},
		Execution: &Execution{Kind: ExecuteProgram, Path: "tmp/x", SHA256: toolDigest, Size: 1_234_567},
	}
	return c
}

// changed is a case of a file that is not as the image has it.
func changed() *Case {
	c := executed()
	c.Question.Occasion, c.Question.Execution = OccasionChange, nil
	c.Question.Drift = &Drift{
		Change: Changed, Path: "etc/app.conf",
		Want: &File{Path: "etc/app.conf", Kind: FileRegular, Mode: 0o644, SHA256: DigestOf(nil)},
		Have: &File{Path: "etc/app.conf", Kind: FileRegular, Mode: 0o666, SHA256: toolDigest},
	}
	return c
}

func does(e Effect) Cell { return Cell{Effect: e} }

func TestActs(t *testing.T) {
	runUnknown, change, unjudged := rule(RuleRunUnknown, does(EffectKill)), rule(RuleChange, does(EffectBlock)), rule(RuleRunUnjudged, does(EffectBlock))
	late := func(c *Case) { c.Question.Execution.Unjudged = "the guard just started" }
	waive := func(w Waiver) func(*Case) {
		return func(c *Case) {
			w.ID, w.Until = "w", noon.Add(day)
			if w.Rule == "" {
				w.Rule = RuleRunUnknown
			}
			c.Waivers = []Waiver{w}
		}
	}
	from := runUnknown
	from.From = noon.Add(day)
	graced := runUnknown
	graced.Grace = 5 * time.Minute
	started := func(ago time.Duration) func(*Case) { return func(c *Case) { c.Question.Started = noon.Add(-ago) } }
	lax := table(runUnknown)
	lax.Classes = []ClassRule{{Class: ClassDataScience, Where: []string{"prod"}, Cells: map[string]Cell{RuleRunUnknown: does(EffectAlert)}}}
	never := table(runUnknown)
	never.Waiving.Never = []string{RuleRunUnknown}
	tests := map[string]struct {
		rules  *Rules
		of     func() *Case
		change func(*Case)
		action Effect
		rule   string
		seen   string
		until  time.Time
	}{
		"killed":                     {table(runUnknown), executed, nil, EffectKill, RuleRunUnknown, "runs tmp/x (program, sha256:ab12cd34ef56, 1.2 MB), which is not in the image", time.Time{}},
		"without a row":              {table(change), executed, nil, EffectNone, "", "", time.Time{}},
		"allowed":                    {table(rule(RuleRunUnknown, does(EffectNone))), executed, nil, EffectNone, RuleRunUnknown, "not asked in prod", time.Time{}},
		"told":                       {table(rule(RuleRunUnknown, does(EffectAlert))), executed, nil, EffectAlert, RuleRunUnknown, "tmp/x", time.Time{}},
		"nobody says what follows":   {table(rule(RuleRunUnknown, Cell{})), executed, nil, EffectBlock, RuleRunUnknown, "tmp/x", time.Time{}},
		"an artifact without a name": {table(runUnknown), executed, func(c *Case) { c.Artifact = Artifact{}; c.Evidence = nil }, EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"nothing is known of it":     {table(runUnknown), executed, func(c *Case) { c.Question.Execution = nil }, EffectKill, RuleRunUnknown, "runs something", time.Time{}},
		"of a host":                  {table(runUnknown), executed, func(c *Case) { c.Artifact.Kind = KindFilesystem }, EffectKill, RuleRunUnknown, "not in the golden image", time.Time{}},
		"a class that may":           {lax, executed, func(c *Case) { c.Question.Place.Class = ClassDataScience }, EffectAlert, RuleRunUnknown, "tmp/x", time.Time{}},
		"the artifact lies":          {table(runUnknown, rule("gaps", refuse())), executed, func(c *Case) { c.False = "another digest" }, EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},

		"unjudged":                        {table(runUnknown, unjudged), executed, late, EffectBlock, RuleRunUnjudged, "nobody could tell in time whether it is in the image: the guard just started", time.Time{}},
		"unjudged is never a kill":        {table(runUnknown, rule(RuleRunUnjudged, does(EffectKill))), executed, late, EffectBlock, RuleRunUnjudged, "tmp/x", time.Time{}},
		"unjudged without a row":          {table(runUnknown), executed, late, EffectAlert, RuleRunUnjudged, "tmp/x", time.Time{}},
		"unjudged where unknown may run":  {table(rule(RuleRunUnknown, does(EffectNone))), executed, late, EffectNone, "", "", time.Time{}},
		"unjudged without any row":        {table(), executed, late, EffectNone, "", "", time.Time{}},
		"judged asks nothing of unjudged": {table(unjudged), executed, nil, EffectNone, "", "", time.Time{}},

		"waived by path":              {table(runUnknown), executed, waive(Waiver{Package: "tmp/x"}), EffectNone, RuleRunUnknown, "tmp/x", noon.Add(day)},
		"waived by path with a slash": {table(runUnknown), executed, waive(Waiver{Package: "/tmp/x"}), EffectNone, RuleRunUnknown, "tmp/x", noon.Add(day)},
		"waived by content":           {table(runUnknown), executed, waive(Waiver{Package: string(toolDigest)}), EffectNone, RuleRunUnknown, "tmp/x", noon.Add(day)},
		"waived as a whole":           {table(runUnknown), executed, waive(Waiver{WholeRule: true, Artifact: "registry.example/shop/*"}), EffectNone, RuleRunUnknown, "tmp/x", noon.Add(day)},
		"waived for another path":     {table(runUnknown), executed, waive(Waiver{Package: "tmp"}), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"waived for another artifact": {table(runUnknown), executed, waive(Waiver{Package: "tmp/x", Artifact: "registry.example/pay"}), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"waived for another rule":     {table(runUnknown), executed, waive(Waiver{Package: "tmp/x", Rule: RuleChange}), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"waived elsewhere":            {table(runUnknown), executed, waive(Waiver{Package: "tmp/x", Environments: []string{"dev"}}), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"never waived":                {never, executed, waive(Waiver{WholeRule: true}), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"a path that looks like a digest": {table(runUnknown), executed, func(c *Case) {
			waive(Waiver{Package: string(toolDigest)})(c)
			c.Question.Execution.Path, c.Question.Execution.SHA256 = string(toolDigest), "sha256:11"
		}, EffectKill, RuleRunUnknown, "sha256:ab12", time.Time{}},

		"not yet in force":          {table(from), executed, nil, EffectAlert, RuleRunUnknown, "tmp/x", noon.Add(day)},
		"within the grace period":   {table(graced), executed, started(4 * time.Minute), EffectAlert, RuleRunUnknown, "tmp/x", noon.Add(time.Minute)},
		"at the end of it":          {table(graced), executed, started(5 * time.Minute), EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"a start nobody knows":      {table(graced), executed, nil, EffectKill, RuleRunUnknown, "tmp/x", time.Time{}},
		"a start that is to come":   {table(graced), executed, started(-time.Minute), EffectKill, RuleRunUnknown, "tmp/x", noon.Add(time.Minute)},
		"nothing to be gracious of": {table(rule(RuleRunUnknown, does(EffectAlert))), executed, started(0), EffectAlert, RuleRunUnknown, "tmp/x", time.Time{}},

		"a change":                          {table(change), changed, nil, EffectBlock, RuleChange, "etc/app.conf was changed: content sha256:ab12cd34ef56 instead of sha256:e3b0c44298fc, mode 0666 instead of 0644", time.Time{}},
		"of which nothing is known":         {table(change), changed, func(c *Case) { c.Question.Drift = nil }, EffectBlock, RuleChange, "a file differs", time.Time{}},
		"a change, waived":                  {table(change), changed, waive(Waiver{Rule: RuleChange, Package: "etc/app.conf"}), EffectNone, RuleChange, "etc/app.conf", noon.Add(day)},
		"a change is not waived by content": {table(change), changed, waive(Waiver{Rule: RuleChange, Package: string(toolDigest)}), EffectBlock, RuleChange, "etc/app.conf", time.Time{}},
		"data in a volume":                  {table(change), changed, func(c *Case) { c.Question.Drift.Volume = "etc" }, EffectNone, RuleChange, "in a volume", time.Time{}},
		"a program in a volume": {table(change), changed, func(c *Case) {
			c.Question.Drift.Volume, c.Question.Drift.Have.Exec = "etc", ExecELF
		}, EffectBlock, RuleChange, "in the volume etc", time.Time{}},
		"a program that was taken out of a volume": {table(change), changed, func(c *Case) {
			d := c.Question.Drift
			d.Change, d.Volume, d.Want.Mode, d.Have = Removed, "etc", 0o755, nil
		}, EffectBlock, RuleChange, "etc/app.conf in the volume etc was removed", time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := test.of()
			if test.change != nil {
				test.change(c)
			}
			d := Decide(test.rules, c)
			if d.Action != test.action || !d.Until.Equal(test.until) {
				t.Errorf("%s until %v, want %s until %v: %+v", d.Action, d.Until, test.action, test.until, d.Reasons)
			}
			consistent(t, &d)
			if test.rule == "" {
				if len(d.Reasons) != 0 || d.Reasons == nil {
					t.Errorf("asked although there is no such row: %+v", d.Reasons)
				}
				return
			}
			if len(d.Reasons) != 1 || d.Reasons[0].Rule != test.rule || !strings.Contains(d.Reasons[0].Seen, test.seen) {
				t.Fatalf("%+v", d.Reasons)
			}
			if why := d.Reasons[0]; d.Action != EffectNone && why.Fix == "" {
				t.Error("nothing says what puts it right")
			}
		})
	}
}

// consistent holds the action against verdict and reason.
func consistent(t interface{ Errorf(string, ...any) }, d *Decision) {
	want := Refused
	switch d.Action {
	case EffectNone, EffectAlert:
		want = Allowed
	case EffectBlock, EffectKill:
	default:
		t.Errorf("the action is %q", d.Action)
	}
	if d.Verdict != want {
		t.Errorf("%s with the action %s", d.Verdict, d.Action)
	}
	if len(d.Reasons) == 1 && (d.Reasons[0].Effect == EffectWarn) != (d.Action == EffectAlert) {
		t.Errorf("the reason has the effect %s, and the action is %s", d.Reasons[0].Effect, d.Action)
	}
}

func TestActTellsThePermittedWay(t *testing.T) {
	d := Decide(table(rule(RuleRunUnknown, does(EffectKill))), executed())
	want := "build it into the image and redeploy: touchstone check registry.example/shop/cart:1.4 --env prod"
	if got := d.Reasons[0].Fix; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	row := rule(RuleRunUnknown, does(EffectBlock))
	row.Fix = "ask the platform team"
	if got := Decide(table(row), executed()).Reasons[0].Fix; got != row.Fix {
		t.Errorf("%q, want the row's own", got)
	}
}

func TestDeclaredPlacesAndManagement(t *testing.T) {
	change := rule(RuleChange, does(EffectAlert))
	tests := map[string]struct {
		writable Writable
		change   func(*Case)
		want     Effect
	}{
		"declared":                {Writable{Paths: []string{"/var/lib", "/etc/*.conf"}}, nil, EffectNone},
		"for the image":           {Writable{Image: "registry.example/shop/*", Paths: []string{"/etc"}}, nil, EffectNone},
		"for another image":       {Writable{Image: "registry.example/pay/*", Paths: []string{"/etc"}}, nil, EffectAlert},
		"an image without a name": {Writable{Image: "*", Paths: []string{"/etc"}}, func(c *Case) { c.Artifact.Name = "" }, EffectAlert},
		"another path":            {Writable{Paths: []string{"/var"}}, nil, EffectAlert},
		"in the environment":      {Writable{Environments: []string{"prod"}, Paths: []string{"/etc"}}, nil, EffectNone},
		"in another environment":  {Writable{Environments: []string{"dev"}, Paths: []string{"/etc"}}, nil, EffectAlert},
		"for the class":           {Writable{Class: ClassApplication, Paths: []string{"/etc"}}, nil, EffectNone},
		"for another class":       {Writable{Class: ClassSystem, Paths: []string{"/etc"}}, nil, EffectAlert},
		"in another namespace":    {Writable{Namespace: "pay", Paths: []string{"/etc"}}, func(c *Case) { c.Question.Place.Namespace = "shop" }, EffectAlert},
		"what can be executed":    {Writable{Paths: []string{"/etc"}}, func(c *Case) { c.Question.Drift.Have.Exec = ExecScript }, EffectAlert},
		"what may be executed":    {Writable{Paths: []string{"/etc"}}, func(c *Case) { c.Question.Drift.Have.Mode = 0o755 }, EffectAlert},
		"nothing is known of it":  {Writable{Paths: []string{"/etc"}}, func(c *Case) { c.Question.Drift.Want, c.Question.Drift.Have = nil, nil }, EffectAlert},
		"managed":                 {Writable{}, func(c *Case) { c.Question.Drift.Managed = "puppet" }, EffectNone},
		"by what nobody declared": {Writable{}, func(c *Case) { c.Question.Drift.Managed = "chef" }, EffectAlert},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := table(change)
			r.Writable = []Writable{test.writable}
			r.Guard.Managed = []Managed{{By: "puppet", Program: "/opt/puppetlabs"}}
			c := changed()
			if test.change != nil {
				test.change(c)
			}
			if d := Decide(r, c); d.Action != test.want {
				t.Errorf("%s, want %s: %+v", d.Action, test.want, d.Reasons)
			}
		})
	}
	r := &Rules{Writable: []Writable{{Image: "shop/*", Paths: []string{"/a", "/b"}}, {Paths: []string{"/c"}}, {Environments: []string{"dev"}, Paths: []string{"/d"}}}}
	if diff := cmp.Diff([]string{"/a", "/b", "/c"}, r.WritableIn(&Place{Environment: "prod"}, "shop/cart")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Whatever a stranger calls a file, a sentence about it stays short and is text.
func TestActTextIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOfN(rapid.Byte(), 1, 4096).Draw(t, "path"))
		for _, s := range []string{
			(&Execution{Kind: ExecuteScript, Path: path, Size: rapid.Int64().Draw(t, "size"), Volume: path}).String(),
			(&Drift{Change: Added, Path: path, Volume: path, Have: &File{Kind: FileSymlink, Link: path}}).String(),
			(&Drift{Change: Changed, Path: path, Want: &File{Link: path}, Have: &File{}}).String(),
		} {
			if len(s) > 1000 {
				t.Fatalf("%d bytes: %q", len(s), s)
			}
		}
	})
}

var actEffects = []Effect{EffectNone, EffectAlert, EffectBlock, EffectKill}

// anyAct draws an act on what runs, and rules that may ask about it.
func anyAct(t *rapid.T) (*Rules, *Case) {
	r := table()
	for _, name := range []string{RuleRunUnknown, RuleRunUnjudged, RuleChange, RuleLogin} {
		if rapid.IntRange(0, 4).Draw(t, "row "+name) == 0 {
			continue
		}
		row := Rule{Name: name, Cells: []Cell{does(rapid.SampledFrom(actEffects).Draw(t, name)), does(rapid.SampledFrom(actEffects).Draw(t, name+" in prod"))}}
		if rapid.Bool().Draw(t, "from "+name) {
			row.From = anyDay(t, "from")
		}
		row.Grace = time.Duration(rapid.IntRange(0, 40).Draw(t, "grace")) * day
		r.Rows = append(r.Rows, row)
	}
	if rapid.Bool().Draw(t, "class") {
		name := rapid.SampledFrom([]string{RuleRunUnknown, RuleChange, RuleLogin}).Draw(t, "class row")
		if r.Row(name) != nil {
			r.Classes = []ClassRule{{Class: ClassDataScience, Where: []string{"dev"}, Cells: map[string]Cell{name: does(rapid.SampledFrom(actEffects).Draw(t, "class effect"))}}}
		}
	}
	if rapid.Bool().Draw(t, "writable") {
		r.Writable = []Writable{{Paths: []string{"/etc/**"}}}
	}
	c := rapid.SampledFrom([]func() *Case{executed, changed}).Draw(t, "case")()
	q := &c.Question
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		q.Occasion, q.Login = OccasionLogin, &Login{Kind: LoginExec, By: "ann"}
	case 1:
		if q.Execution != nil {
			q.Execution.Unjudged = "the guard just started"
		}
	}
	q.Place.Environment = rapid.SampledFrom([]string{"dev", "prod"}).Draw(t, "environment")
	q.Place.Class = rapid.SampledFrom([]Class{ClassApplication, ClassDataScience}).Draw(t, "of class")
	if rapid.Bool().Draw(t, "started") {
		q.Started = anyDay(t, "start")
	}
	c.Waivers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Waiver {
		return Waiver{
			ID: "w", Rule: rapid.SampledFrom([]string{RuleRunUnknown, RuleRunUnjudged, RuleChange, RuleLogin}).Draw(t, "rule"),
			Package:   rapid.SampledFrom([]string{"", "tmp/x", "etc/app.conf", string(toolDigest)}).Draw(t, "package"),
			WholeRule: rapid.IntRange(0, 2).Draw(t, "whole") == 0, Until: anyDay(t, "until"),
		}
	}), 0, 4).Draw(t, "waivers")
	return r, c
}

func TestLawAnActHasOneAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAct(t)
		d := Decide(r, c)
		consistent(t, &d)
		if diff := cmp.Diff(d, Decide(r, c)); diff != "" {
			t.Fatalf("the second decision differs\n%s", diff)
		}
		if len(d.Reasons) > 1 {
			t.Fatalf("more than one row was asked: %+v", d.Reasons)
		}
	})
}

func TestLawNoActChangesBeforeUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAct(t)
		first := Decide(r, c)
		ahead := time.Duration(rapid.IntRange(1, 100*24).Draw(t, "hours")) * time.Hour
		if !first.Until.IsZero() && !c.Now.Add(ahead).Before(first.Until) {
			ahead = first.Until.Sub(c.Now) - time.Nanosecond
		}
		c.Now = c.Now.Add(ahead)
		later := Decide(r, c)
		if later.Action != first.Action || later.Verdict != first.Verdict {
			t.Fatalf("%s, holding until %v, became %s at %v", first.Action, first.Until, later.Action, c.Now)
		}
		if !first.Until.IsZero() && !first.Until.After(first.At) {
			t.Fatalf("it holds until %v, which is over at %v", first.Until, first.At)
		}
	})
}

func TestLawAHarderCellNeverGivesAMilderAction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAct(t)
		before := Decide(r, c)
		for i := range r.Rows {
			for k := range r.Rows[i].Cells {
				cell := &r.Rows[i].Cells[k]
				if harder := rapid.SampledFrom(actEffects).Draw(t, "harder"); harder.hardness() > cell.Effect.hardness() {
					cell.Effect = harder
				}
			}
			if rapid.Bool().Draw(t, "no grace") {
				r.Rows[i].Grace = 0
			}
		}
		r.Writable = nil
		if after := Decide(r, c); after.Action.hardness() < before.Action.hardness() {
			t.Fatalf("%s became %s by harder rules", before.Action, after.Action)
		}
	})
}

func TestLawAWaiverFewerNeverGivesAMilderAction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := anyAct(t)
		before := Decide(r, c)
		if len(c.Waivers) > 0 {
			i := rapid.IntRange(0, len(c.Waivers)-1).Draw(t, "the one")
			c.Waivers = append(c.Waivers[:i:i], c.Waivers[i+1:]...)
		}
		if after := Decide(r, c); after.Action.hardness() < before.Action.hardness() {
			t.Fatalf("%s became %s by a waiver fewer", before.Action, after.Action)
		}
	})
}

// A guard asks about everything that is executed and not known.
func BenchmarkDecideExecution(b *testing.B) {
	r, _ := benchmarkCase()
	r.Rows = append(r.Rows, rule(RuleRunUnknown, does(EffectKill)))
	c := executed()
	for i := range 20 {
		c.Waivers = append(c.Waivers, Waiver{ID: "w", Rule: RuleRunUnknown, Package: strings.Repeat("x", i+1), Until: noon.Add(day)})
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(r, c)
	}
}

func BenchmarkDecideChange(b *testing.B) {
	r, _ := benchmarkCase()
	r.Rows = append(r.Rows, rule(RuleChange, does(EffectAlert)))
	r.Writable = []Writable{{Image: "registry.example/*", Paths: []string{"/var/cache/**", "/data"}}}
	c := changed()
	b.ReportAllocs()
	for b.Loop() {
		Decide(r, c)
	}
}
