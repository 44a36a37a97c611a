package pin

import (
	"strconv"
	"strings"
	"testing"

	"touchstone.dev/touchstone"
)

// TestHostile feeds files that grow, nest or repeat without end. Each must be
// read within its budget, and say so where it was not read to the end.
func TestHostile(t *testing.T) {
	double := func(define, use string) string {
		var b strings.Builder
		b.WriteString("FROM a\n" + strings.ReplaceAll(define, "N", "0") + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
		for i := 1; i < 500; i++ {
			v := "$A" + strconv.Itoa(i-1)
			b.WriteString(strings.ReplaceAll(define, "N", strconv.Itoa(i)) + v + v + "\n")
		}
		return b.String() + use
	}
	repeat := strings.Repeat
	tests := []struct {
		name string
		file string
		gap  touchstone.GapKind // that must be among the gaps
		err  string
	}{
		{name: "variables that double", file: double("ENV AN=", "RUN pip install $A499\n")},
		{name: "variables that double in a shell", file: double("RUN AN=", "")},
		{name: "one long variable in many commands", gap: touchstone.GapLimit,
			file: "FROM a\nENV A=" + repeat("x", 60000) + "\n" + repeat("RUN pip install $A\n", 1000)},
		{name: "one long list in many commands", gap: touchstone.GapLimit,
			file: "FROM a\nENV A=\"" + repeat("x ", 30000) + "\"\n" + repeat("RUN pip install $A\n", 1000)},
		{name: "one long script in many shells", gap: touchstone.GapLimit,
			file: "FROM a\nENV A=\"" + repeat("x;", 30000) + "\"\n" + repeat("RUN sh -c \"$A\"\n", 1000)},
		{name: "loops in loops", gap: touchstone.GapLimit,
			file: "FROM a\nRUN " + repeat("for i in 1 2 3 4 5 6 7 8; do ", 1000) + "apt-get install $i" + repeat("; done", 1000)},
		{name: "brackets", gap: touchstone.GapLimit, file: "FROM a\nRUN " + repeat("(", 5000)},
		{name: "keywords", gap: touchstone.GapLimit, file: "FROM a\nRUN " + repeat("if ", 5000)},
		{name: "a script without end", gap: touchstone.GapLimit, file: "FROM a\nRUN apt-get install \\\n" + repeat("xxx \\\n", 20000)},
		{name: "shells in shells", gap: touchstone.GapLimit,
			file: "FROM a\nENV A='eval \"$A\"'\nRUN " + repeat("eval ", 20) + "x\n"},
		{name: "defaults in defaults", file: "FROM " + repeat("${a:-", 10000)},
		{name: "stages", gap: touchstone.GapLimit, file: repeat("FROM a\n", 2000)},
		{name: "images", file: "FROM a\nRUN --mount=" + repeat("from=b,", 9000) + " x"},
		{name: "pipes", file: "FROM a\nRUN " + repeat("curl -O http://a.b/c|", 2900) + "sh"},
		{name: "sums", file: "FROM a\nRUN curl -O http://a.b/c\n" + repeat("RUN echo x > s;sha256sum -c s\n", 5000)},
		{name: "a large file", err: "at most", file: "FROM a\n" + repeat("# x\n", 1<<18)},
		{name: "a long line", err: "greater than max", file: "FROM a\nRUN " + repeat("a", 1<<17)},
		{name: "a program", err: "control characters", file: "FROM a\n\x00"},
		{name: "nothing", err: "no instructions", file: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Check("Dockerfile", []byte(tt.file), Options{})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.gap != "" {
				gaps := f.Gaps()
				if len(gaps) == 0 || gaps[0].Kind != tt.gap {
					t.Errorf("gaps %v, want one of kind %s", gaps, tt.gap)
				}
			}
			for _, p := range f.Pins() {
				if len(p.What) > 400 || len(p.Why) > 400 || len(p.Fix) > 400 {
					t.Fatalf("a pin of %d, %d and %d bytes", len(p.What), len(p.Why), len(p.Fix))
				}
			}
			f.Fix(built())
		})
	}
}
