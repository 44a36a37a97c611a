package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

var moment = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func eventOf(i int, padding string) *touchstone.RuntimeEvent {
	return &touchstone.RuntimeEvent{
		Schema: touchstone.SchemaRuntimeEvent, ID: record.NewID(moment.Add(time.Duration(i) * time.Millisecond)), At: moment,
		Kind: touchstone.EventGuard, Trouble: fmt.Sprint(i, padding), Count: 1,
	}
}

func drain(t *testing.T, j *journal) []string {
	t.Helper()
	var out []string
	for {
		events, end, err := j.batch(7)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return out
		}
		for i := range events {
			out = append(out, events[i].Trouble)
		}
		if err := j.sent(end); err != nil {
			t.Fatal(err)
		}
	}
}

// What was written is sent once, over restarts, and what a crash has cut off is lost
// alone.
func TestJournalSendsEverythingOnce(t *testing.T) {
	dir := t.TempDir()
	var got, want []string
	for round := range 4 {
		j, err := openJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			e := eventOf(20*round+i, "")
			want = append(want, e.Trouble)
			if err := j.append(e); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, drain(t, j)...)
		// The process dies in the middle of a line.
		half := j.names[len(j.names)-1]
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, half), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"schema":"touch`)
		f.Close()
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("sent %v\nwant %v", got, want)
	}
}

func TestJournalFindsAnEventByTheBeginningOfItsID(t *testing.T) {
	j, err := openJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	one, other := eventOf(1, ""), eventOf(1_000_000, "")
	for _, e := range []*touchstone.RuntimeEvent{one, other} {
		if err := j.append(e); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := j.find(strings.ToLower(one.ID[:12])); err != nil || e.ID != one.ID {
		t.Errorf("found %v, %v", e, err)
	}
	for _, id := range []string{"01", "nothing"} {
		if e, err := j.find(id); err == nil {
			t.Errorf("%s names %s", id, e.ID)
		}
	}
	// Told again with more in it, it is one event, as it was told last.
	again := *one
	again.Trouble = "more"
	if err := j.append(&again); err != nil {
		t.Fatal(err)
	}
	if e, err := j.find(one.ID); err != nil || e.Trouble != "more" {
		t.Errorf("found %v, %v", e, err)
	}
	if last, err := j.last(2); err != nil || len(last) != 2 || last[1].Trouble != "more" {
		t.Errorf("the last are %v, %v", last, err)
	}
}

// The disk is never filled: the oldest segments go, and what of them was unsent is
// counted.
func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	padding := strings.Repeat("x", 900<<10)
	written, lost := 0, 0
	for lost == 0 {
		if err := j.append(eventOf(written, padding)); err != nil {
			t.Fatal(err)
		}
		lost += int(j.takeLost())
		if written++; written > 400 {
			t.Fatal("nothing ever goes")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > mostSegments+1 {
		t.Errorf("%d files, %v", len(entries), err)
	}
	if got := len(drain(t, j)); got+lost != written {
		t.Errorf("%d were sent and %d lost of %d", got, lost, written)
	}
}

// However often the guard is started while no server takes anything, nothing goes that
// would fit.
func TestJournalGoesOnOverRestarts(t *testing.T) {
	dir := t.TempDir()
	const restarts = 3 * mostSegments
	for i := range restarts {
		j, err := openJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.append(eventOf(i, "")); err != nil {
			t.Fatal(err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
	}
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(drain(t, j)); got != restarts || j.takeLost() != 0 {
		t.Errorf("%d events were sent of %d", got, restarts)
	}
}
