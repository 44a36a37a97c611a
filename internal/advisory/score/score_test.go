package score

import "testing"

func TestVector(t *testing.T) {
	tests := []struct {
		vector string
		grade  Grade
		value  float64
		source string
	}{
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Modern, 10, "x, CVSS 3.1"},
		{"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Modern, 7.5, "x, CVSS 3.0"},
		{"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:N", Modern, 4.4, "x, CVSS 3.1"},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H/E:U", Modern, 10, "x, CVSS 3.1"},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", Modern, 10, "x, CVSS 4.0"},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", Modern, 9.3, "x, CVSS 4.0"},
		{"AV:N/AC:L/Au:N/C:P/I:P/A:P", V2, 7.5, "x, CVSS 2.0"},
		{"(AV:N/AC:L/Au:N/C:P/I:P/A:P)", V2, 7.5, "x, CVSS 2.0"},
	}
	for _, tt := range tests {
		got, ok := Vector(tt.vector, "x")
		if !ok || got.Grade != tt.grade || got.Value != tt.value || got.Source != tt.source {
			t.Errorf("Vector(%q) = %+v, %v", tt.vector, got, ok)
		}
	}
	for _, bad := range []string{"", "CVSS:3.1/AV:N", "CVSS:5.0/AV:N", "high", "CVSS:4.0/"} {
		if got, ok := Vector(bad, "x"); ok {
			t.Errorf("Vector(%q) = %+v, want none", bad, got)
		}
	}
}

func TestBetter(t *testing.T) {
	v3, _ := Vector("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:N", "a")
	v2, _ := Vector("AV:N/AC:L/Au:N/C:P/I:P/A:P", "b")
	word, _ := OfWord("CRITICAL", "c")
	if !v3.Better(v2) || !v2.Better(word) || v2.Better(v3) || !word.Better(Score{}) || v3.Better(v3) {
		t.Error("a lower grade displaces a higher one")
	}
}

func TestWords(t *testing.T) {
	for word, want := range map[string]float64{"MODERATE": 6.9, "Important": 8.9, "unimportant": 3.9, "critical": 10, "none": 0} {
		if got, ok := OfWord(word, "x"); !ok || got.Value != want {
			t.Errorf("OfWord(%q) = %v, %v, want %v", word, got.Value, ok, want)
		}
	}
	if _, ok := OfWord("not yet assigned", "x"); ok {
		t.Error("a word that says nothing gives a score")
	}
	for value, want := range map[float64]string{10: "critical", 8.9: "high", 6.9: "medium", 0.1: "low", 0: "none"} {
		if got := Severity(value); got != want {
			t.Errorf("Severity(%v) = %q, want %q", value, got, want)
		}
	}
}

func FuzzVector(f *testing.F) {
	f.Add("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H")
	f.Add("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H")
	f.Add("AV:N/AC:L/Au:N/C:P/I:P/A:P")
	f.Fuzz(func(t *testing.T, vector string) {
		if s, ok := Vector(vector, "x"); ok && !(s.Value >= 0 && s.Value <= 10) {
			t.Fatalf("%q scores %v", vector, s.Value)
		}
	})
}
