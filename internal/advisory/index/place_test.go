package index

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naive is the algorithm of the OSV schema ("Evaluation") over numbers, word for
// word, with which the ranks must agree.
func naive(v int, ranges [][]Event) bool {
	for _, events := range ranges {
		vulnerable, limited, before := false, false, false
		for _, e := range events { // sorted
			switch e.Kind {
			case Introduced:
				if v >= e.Rank {
					vulnerable = true
				}
			case Fixed:
				if v >= e.Rank {
					vulnerable = false
				}
			case LastAffected:
				if v > e.Rank {
					vulnerable = false
				}
			case Limit:
				limited = true
				before = before || v < e.Rank
			}
		}
		if vulnerable && (!limited || before) {
			return true
		}
	}
	return false
}

// TestHolds compares ranks with numbers: rank r stands for version 10r+5, and a
// version may lie on it or between two.
func TestHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 6
		var ranges []Range
		var numbers [][]Event
		for range rapid.IntRange(0, 3).Draw(t, "ranges") {
			var r Range
			last := -1
			for range rapid.IntRange(1, 4).Draw(t, "events") {
				e := Event{Kind: EventKind(rapid.IntRange(0, 3).Draw(t, "kind")), Rank: rapid.IntRange(last, n-1).Draw(t, "rank")}
				if e.Rank == Beginning && e.Kind != Introduced {
					continue
				}
				last = e.Rank
				r = append(r, e)
			}
			ranges = append(ranges, r)
			var events []Event
			for _, e := range r {
				events = append(events, Event{e.Kind, e.Rank*10 + 5})
			}
			numbers = append(numbers, events)
		}
		v := rapid.IntRange(0, 60).Draw(t, "version")
		compare := func(i int) (int, error) {
			switch at := i*10 + 5; {
			case v < at:
				return -1, nil
			case v > at:
				return 1, nil
			}
			return 0, nil
		}
		want := No
		if naive(v, numbers) {
			want = Yes
		}
		for name, find := range map[string]func(int, func(int) (int, error)) (Place, error){"sorted": Find, "one by one": FindEach} {
			p, err := find(n, compare)
			if err != nil {
				t.Fatal(err)
			}
			if got := Holds(ranges, p); got != want {
				t.Fatalf("%s: version %d in %v: %v, want %v", name, v, ranges, got, want)
			}
		}
	})
}

func TestUnknown(t *testing.T) {
	tests := []struct {
		name   string
		ranges []Range
		want   Answer
	}{
		{"every version", []Range{{{Introduced, Beginning}}}, Yes},
		{"until a fix", []Range{{{Introduced, Beginning}, {Fixed, 0}}}, Maybe},
		{"from a version", []Range{{{Introduced, 0}}}, Maybe},
		{"no range", nil, No},
		{"one that is sure beside one that is not", []Range{{{Introduced, 0}}, {{Introduced, Beginning}}}, Yes},
	}
	for _, tt := range tests {
		if got := Holds(tt.ranges, Unknown()); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	// An event whose version cannot be compared leaves the range open.
	if got := Holds([]Range{{{Introduced, Beginning}, {Fixed, 1}}}, At(0, 1)); got != Maybe {
		t.Errorf("an incomparable fix: %v", got)
	}
}

func TestAffects(t *testing.T) {
	versions := []string{"1.0", "2.0", "odd"}
	s := Statement{Exact: []uint32{1, 2}}
	for text, want := range map[string]Answer{"odd": Yes, "1.0": No} {
		if got := s.Affects(At(0, 2), text, versions); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if got := s.Affects(At(1, 2), "2.0.0", versions); got != Yes {
		t.Errorf("another text of a listed version: %v", got)
	}
	s = Statement{NotAffected: true, Ranges: []Range{{{Introduced, Beginning}}}}
	if got := s.Affects(At(0, 2), "1.0", versions); got != No {
		t.Errorf("not affected: %v", got)
	}
}

func TestDescribe(t *testing.T) {
	versions := []string{"1.0", "1.5", "2.0"}
	tests := []struct {
		r    Range
		want []string
	}{
		{Range{{Introduced, Beginning}}, []string{"every version"}},
		{Range{{Introduced, Beginning}, {Fixed, 1}}, []string{"< 1.5"}},
		{Range{{Introduced, 0}, {LastAffected, 1}, {Introduced, 2}}, []string{">= 1.0, <= 1.5", ">= 2.0"}},
		{Range{{Introduced, Beginning}, {Limit, 2}}, []string{"< 2.0"}},
		{Range{{Fixed, 2}}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.r.Describe(versions)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.r, diff)
		}
	}
}
