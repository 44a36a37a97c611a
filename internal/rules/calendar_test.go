package rules

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones below are there on every machine

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

// Days are those of the zone, and until is to the end of one.
func TestLoadFreezes(t *testing.T) {
	r, warnings, err := Load("rules.yaml", []byte(`
version: 1
environments: [dev, prod]
rules:
  frozen: {others: refuse}
  approvals: {dev: any, prod: 2 of Release}
  host-access: {others: refuse}
freezes:
  - {name: the year ends, environments: prod, from: 2026-12-18, until: 2027-01-03, zone: Europe/Berlin, owner: ann, because: shops}
  - {every: [Sat, Sun], until: 2027-01-01T12:00:00Z, because: nobody is there}
windows:
  - {every: "Mon-Fri 9:00 to 17:00", zone: Europe/Berlin}
waivers: {announce: 7d}
`), today())
	if out := told(warnings, err); out != "" {
		t.Fatal(out)
	}
	weekly := func(text, zone string) *touchstone.Weekly {
		w, err := ParseWeekly(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	want := []touchstone.Freeze{
		{ID: "the year ends", Environments: []string{"prod"}, Owner: "ann", Reason: "shops",
			From: time.Date(2026, 12, 17, 23, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 3, 23, 0, 0, 0, time.UTC)},
		{ID: "the freeze 2 of the rules", Weekly: weekly("Sat,Sun", "UTC"), Until: time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC), Reason: "nobody is there"},
		{ID: "the window 1 of the rules", Weekly: weekly("Mon-Fri 09:00 to 17:00", "Europe/Berlin")},
	}
	if diff := cmp.Diff(want, append(r.Freezes, r.Windows...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c := r.Row("approvals").Cells[1]; c.Group != "Release" || c.Limit.Value != 2 || r.Waiving.Announce != 7*24*time.Hour {
		t.Errorf("%+v, announced %v", c, r.Waiving.Announce)
	}
	opens, ok := r.Opens("prod", nil, time.Date(2026, 12, 18, 12, 0, 0, 0, time.UTC))
	if want := time.Date(2027, 1, 4, 8, 0, 0, 0, time.UTC); !ok || !opens.Equal(want) {
		t.Errorf("opens at %v, want %v", opens, want)
	}
}

func TestParseWeekly(t *testing.T) {
	for text, want := range map[string]string{
		"Fri 16:00 to Mon 08:00":               "Fri 16:00 to Mon 08:00 Europe/Berlin",
		"friday 16:00 - monday 8:00":           "Fri 16:00 to Mon 08:00 Europe/Berlin",
		"Sat,Sun":                              "Sat,Sun Europe/Berlin",
		" sat , SUN ":                          "Sat,Sun Europe/Berlin",
		"Mon-Fri 18:00 to 08:00":               "Mon,Tue,Wed,Thu,Fri 18:00 to 08:00 Europe/Berlin",
		"Fri-Mon":                              "Fri,Sat,Sun,Mon Europe/Berlin",
		"Mon,Wed-Thu 09:30 to 24:00":           "Mon,Wed,Thu 09:30 to 24:00 Europe/Berlin",
		"22:00 to 06:00":                       "Sun,Mon,Tue,Wed,Thu,Fri,Sat 22:00 to 06:00 Europe/Berlin",
		"Mon 10:00 to Mon 09:00":               "Mon 10:00 to Mon 09:00 Europe/Berlin",
		"Mon,Mon":                              "Mon Europe/Berlin",
		"":                                     `error: "" is no time of the week`,
		"Fri 16:00":                            `error: "Fri 16:00" is no time of the week`,
		"Fri 16:00 until Mon 08:00":            `error: "Fri 16:00 until Mon 08:00" is no time of the week`,
		"Fri 16 to 18":                         `error: "Fri 16 to 18" is no time of the week`,
		"Freitag 16:00 to 18:00":               `error: "freitag" is no day of the week`,
		"Mo 16:00 to 18:00":                    `error: "mo" is no day of the week`,
		"Fri 16:00 to Mond 08:00":              "Fri 16:00 to Mon 08:00 Europe/Berlin",
		"Fri 16:00 to Mittwoch 08:00":          `error: "mittwoch" is no day of the week`,
		"Fri 25:00 to 26:00":                   `error: "25:00" is no time of day`,
		"Fri 16:60 to 18:00":                   `error: "16:60" is no time of day`,
		"Fri 24:00 to 25:00":                   `error: "25:00" is no time of day`,
		"Fri 24:00 to Sat 08:00":               "error: 24:00 begins nothing: it is the end of a day",
		"Mon,,Tue":                             `error: "" is no day of the week`,
		"-":                                    `error: "-" is no time of the week`,
		strings.Repeat("mon,", 100000) + "tue": "Mon,Tue Europe/Berlin",
	} {
		w, err := ParseWeekly(text, "Europe/Berlin")
		var got string
		if err != nil {
			got, _, _ = strings.Cut("error: "+err.Error(), "\nhint")
		} else {
			got = w.String()
			again, err := ParseWeekly(strings.TrimSuffix(got, " Europe/Berlin"), "Europe/Berlin")
			if err != nil || !again.Equal(*w) {
				t.Errorf("%s cannot be read again: %v, %v", got, again, err)
			}
		}
		if got != want {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
	if _, err := ParseWeekly("Sat", "Mars/Olympus"); err == nil {
		t.Error("a zone that nobody knows is taken")
	}
}
