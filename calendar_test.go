package touchstone

import (
	"encoding/json"
	"testing"
	"time"
	_ "time/tzdata" // the zones below are there on every machine

	"pgregory.net/rapid"
)

// weekly makes a span that decisions can look at.
func weekly(t interface{ Fatal(...any) }, zone string, start, end int, to *time.Weekday, days ...time.Weekday) *Weekly {
	w := &Weekly{Days: days, Start: start, End: end, ToDay: to, Zone: zone}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	return w
}

func utc(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// Clocks in Berlin are set forward on 2026-03-29 at 02:00 to 03:00 (01:00 UTC),
// and back on 2026-10-25 at 03:00 to 02:00 (01:00 UTC).
func TestClocksThatAreSet(t *testing.T) {
	const hour, zone = 60, "Europe/Berlin"
	monday := time.Monday
	tests := map[string]struct {
		w    *Weekly
		from string // asked at, UTC
		wide bool
		// The span that is under way or begins next, UTC.
		start, end string
	}{
		"winter":                                {weekly(t, zone, 16*hour, 8*hour, &monday, time.Friday), "2026-11-24 00:00", true, "2026-11-27 15:00", "2026-11-30 07:00"},
		"summer":                                {weekly(t, zone, 16*hour, 8*hour, &monday, time.Friday), "2026-07-01 00:00", true, "2026-07-03 14:00", "2026-07-06 06:00"},
		"over the day of setting back":          {weekly(t, zone, 16*hour, 8*hour, &monday, time.Friday), "2026-10-22 00:00", true, "2026-10-23 14:00", "2026-10-26 07:00"},
		"over the day of setting forward":       {weekly(t, zone, 16*hour, 8*hour, &monday, time.Friday), "2026-03-26 00:00", true, "2026-03-27 15:00", "2026-03-30 06:00"},
		"begins at a time that is skipped":      {weekly(t, zone, 150, 5*hour, nil, time.Sunday), "2026-03-28 00:00", true, "2026-03-29 01:00", "2026-03-29 03:00"},
		"ends at a time that is skipped":        {weekly(t, zone, 1*hour, 150, nil, time.Sunday), "2026-03-28 00:00", true, "2026-03-29 00:00", "2026-03-29 01:00"},
		"skipped whole":                         {weekly(t, zone, 125, 150, nil, time.Sunday), "2026-03-28 00:00", true, "2026-04-05 00:05", "2026-04-05 00:30"},
		"a freeze in the hour that comes twice": {weekly(t, zone, 130, 150, nil, time.Sunday), "2026-10-24 00:00", true, "2026-10-25 00:10", "2026-10-25 01:30"},
		"a window that begins in it":            {weekly(t, zone, 150, 5*hour, nil, time.Sunday), "2026-10-24 00:00", false, "2026-10-25 01:30", "2026-10-25 04:00"},
		"a window that ends in it":              {weekly(t, zone, 1*hour, 150, nil, time.Sunday), "2026-10-24 00:00", false, "2026-10-24 23:00", "2026-10-25 00:30"},
		"a window in it, begun after it ended":  {weekly(t, zone, 130, 150, nil, time.Sunday), "2026-10-24 00:00", false, "2026-11-01 01:10", "2026-11-01 01:30"},
		"whole days":                            {weekly(t, zone, 0, 0, nil, time.Saturday), "2026-11-24 00:00", true, "2026-11-27 23:00", "2026-11-28 23:00"},
		"to the same day a week later":          {weekly(t, "UTC", 10*hour, 10*hour, &monday, time.Monday), "2026-11-23 10:00", true, "2026-11-23 10:00", "2026-11-30 10:00"},
		"to later on the same day":              {weekly(t, "UTC", 10*hour, 11*hour, &monday, time.Monday), "2026-11-22 00:00", true, "2026-11-23 10:00", "2026-11-23 11:00"},
		"a zone that skipped a day, 2011-12-30": {weekly(t, "Pacific/Apia", 9*hour, 17*hour, nil, time.Friday), "2011-12-28 00:00", true, "2012-01-05 19:00", "2012-01-06 03:00"},
		"a zone of a quarter of an hour":        {weekly(t, "Asia/Kathmandu", 0, 0, nil, time.Sunday), "2026-11-27 00:00", true, "2026-11-28 18:15", "2026-11-29 18:15"},
		"asked the very moment that it begins":  {weekly(t, "UTC", 10*hour, 11*hour, nil, time.Monday), "2026-11-23 10:00", true, "2026-11-23 10:00", "2026-11-23 11:00"},
		"asked the very moment that it is over": {weekly(t, "UTC", 10*hour, 11*hour, nil, time.Monday), "2026-11-23 11:00", true, "2026-11-30 10:00", "2026-11-30 11:00"},
		"a minute before midnight to one after": {weekly(t, "UTC", 23*hour+59, 1, nil, time.Monday), "2026-11-24 00:00", true, "2026-11-24 00:00", "2026-11-24 00:01"},
		"no zone is UTC":                        {&Weekly{Days: []time.Weekday{time.Monday}, Start: 60, End: 120}, "2026-11-22 00:00", true, "2026-11-23 01:00", "2026-11-23 02:00"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			at := utc(test.from)
			if covers, next := test.w.at(at, test.wide); !covers {
				at = next
			}
			if !at.Equal(utc(test.start)) {
				t.Errorf("begins at %v, want %s", at.UTC(), test.start)
			}
			if covers, end := test.w.at(at, test.wide); !covers || !end.Equal(utc(test.end)) {
				t.Errorf("ends at %v (%v), want %s", end.UTC(), covers, test.end)
			}
			if covers, _ := test.w.at(at.Add(-time.Nanosecond), test.wide); covers && utc(test.from).Before(at) {
				t.Error("it holds before it begins")
			}
		})
	}
}

func anyWeekly(t *rapid.T) *Weekly {
	minutes := rapid.IntRange(0, 24*60-1)
	w := &Weekly{
		Days:  rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 6), func(n int) time.Weekday { return time.Weekday(n) }), 1, 3, rapid.ID).Draw(t, "days"),
		Start: minutes.Draw(t, "start"), End: minutes.Draw(t, "end"),
		Zone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(t, "zone"),
	}
	if rapid.Bool().Draw(t, "to") {
		d := time.Weekday(rapid.IntRange(0, 6).Draw(t, "day"))
		w.ToDay = &d
	}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	return w
}

func anyFreeze(t *rapid.T) Freeze {
	f := Freeze{ID: "f", Reason: "why"}
	if rapid.Bool().Draw(t, "elsewhere") {
		f.Environments = []string{rapid.SampledFrom([]string{"dev", "prod"}).Draw(t, "environment")}
	}
	if rapid.Bool().Draw(t, "weekly") {
		f.Weekly = anyWeekly(t)
	}
	if f.Weekly == nil || rapid.Bool().Draw(t, "bounded") {
		f.From = anyDay(t, "from")
		if rapid.IntRange(0, 3).Draw(t, "ends") > 0 {
			f.Until = f.From.Add(time.Duration(rapid.IntRange(1, 60*24).Draw(t, "for")) * time.Hour)
		}
	}
	return f
}

// Where Opens names a moment it is open then, and at no moment before.
func TestLawWhatOpensIsOpenAndNotBefore(t *testing.T) {
	days := []string{"2026-11-23 12:00", "2026-03-28 23:00", "2026-10-24 22:00", "2011-12-29 12:00"}
	rapid.Check(t, func(t *rapid.T) {
		r := table()
		r.Freezes = rapid.SliceOfN(rapid.Custom(anyFreeze), 0, 3).Draw(t, "freezes")
		r.Windows = rapid.SliceOfN(rapid.Custom(anyFreeze), 0, 2).Draw(t, "windows")
		declared := rapid.SliceOfN(rapid.Custom(anyFreeze), 0, 2).Draw(t, "declared")
		now := utc(rapid.SampledFrom(days).Draw(t, "day")).Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(t, "minutes")) * time.Minute)
		cal := r.calendar("prod", declared)
		opens, ok := r.Opens("prod", declared, now)
		if !ok {
			opens = now.Add(60 * day)
		} else if closed, _, _ := cal.closed(opens); closed {
			t.Fatalf("said to open at %v, and is closed then", opens)
		}
		if opens.Before(now) {
			t.Fatalf("opens at %v, before %v", opens, now)
		}
		for range 20 {
			if !now.Before(opens) {
				break
			}
			at := now.Add(time.Duration(rapid.Int64Range(0, int64(opens.Sub(now)-1)).Draw(t, "before")))
			if closed, _, _ := cal.closed(at); !closed {
				t.Fatalf("said to open at %v, and is open at %v", opens, at)
			}
		}
	})
}

// What holds at a moment is what clocks show then, but in the hour that comes twice.
func TestLawASpanIsWhatClocksShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWeekly(t)
		at := utc("2026-01-01 00:00").Add(time.Duration(rapid.IntRange(0, 365*24*60).Draw(t, "minute")) * time.Minute)
		for _, near := range []time.Duration{-2 * time.Hour, 2 * time.Hour} {
			if offset(w.zone, at.Add(near)) != offset(w.zone, at) {
				return
			}
		}
		local := at.In(w.zone)
		shown := false
		for back := range 8 {
			date := local.AddDate(0, 0, -back)
			for _, d := range w.Days {
				if date.Weekday() != d {
					continue
				}
				minute := back*24*60 + local.Hour()*60 + local.Minute()
				shown = shown || w.Start <= minute && minute < w.length(d)*24*60+w.End
			}
		}
		for _, wide := range []bool{true, false} {
			if covers, _ := w.at(at, wide); covers != shown {
				t.Fatalf("%s at %v: %v, want %v", w, local, covers, shown)
			}
		}
	})
}

func TestFreezesThatSayNothing(t *testing.T) {
	monday := []time.Weekday{time.Monday}
	tests := map[string]Freeze{
		"no day":               {Weekly: &Weekly{}},
		"a day of no week":     {Weekly: &Weekly{Days: []time.Weekday{7}}},
		"a minute of no day":   {Weekly: &Weekly{Days: monday, Start: 24 * 60}},
		"no zone of that name": {Weekly: &Weekly{Days: monday, Zone: "Europe/Bremen"}},
		"anybody's zone":       {Weekly: &Weekly{Days: monday, Zone: "Local"}},
		"a path":               {Weekly: &Weekly{Days: monday, Zone: "../etc/passwd"}},
		"over before it began": {From: noon, Until: noon.Add(-day)},
	}
	for name, f := range tests {
		if f.Check() == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
}

func TestWeeklyKeepsItsZoneInJSON(t *testing.T) {
	monday := time.Monday
	w := weekly(t, "Europe/Berlin", 960, 480, &monday, time.Friday)
	data, err := json.Marshal(Freeze{ID: "f", Weekly: w})
	if err != nil {
		t.Fatal(err)
	}
	var f Freeze
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if !f.Weekly.Equal(*w) || f.Weekly.location() == nil || f.Weekly.String() != "Fri 16:00 to Mon 08:00 Europe/Berlin" {
		t.Errorf("%s became %s", w, f.Weekly)
	}
	if err := json.Unmarshal([]byte(`{"weekly": {"days": [1], "zone": "Mars/Olympus"}}`), &f); err != nil || f.Weekly.location() != nil {
		t.Errorf("a zone that nobody knows: %v, %v", err, f.Weekly.location())
	}
}
