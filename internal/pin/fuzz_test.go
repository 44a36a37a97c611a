package pin

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzCheck holds a file of any bytes to what Check and Fix promise: no panic,
// places within the file, a result that reads as the file without what was
// pinned, and nothing left to fix the second time.
func FuzzCheck(f *testing.F) {
	names, err := filepath.Glob("testdata/*.Dockerfile")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	v := built()
	f.Fuzz(func(t *testing.T, src []byte) { holds(t, src, v) })
}

// holds checks the promises on one file.
func holds(t interface {
	Helper()
	Fatalf(string, ...any)
}, src []byte, v Versions) {
	t.Helper()
	f, err := Check("Dockerfile", src, Options{})
	if err != nil {
		return
	}
	for _, x := range f.Findings() {
		if x.Start >= 0 && (x.Start >= x.End || x.End > len(src)) || x.Start < 0 && x.Start != -1 {
			t.Fatalf("%s %s is at [%d, %d) of %d bytes", x.Where, x.What, x.Start, x.End, len(src))
		}
		if x.Why == "" || x.Where == "" || x.Tool == "" {
			t.Fatalf("half a pin: %+v", x.Pin)
		}
	}
	out, fixed, left := f.Fix(v)
	if len(fixed)+len(left) != len(f.Findings()) {
		t.Fatalf("%d fixed and %d left of %d", len(fixed), len(left), len(f.Findings()))
	}
	if !bytes.Equal(undone(out, fixed), src) {
		t.Fatalf("more than the edits changed:\n%s\n--- fixed:\n%s", src, out)
	}
	again, err := Check("Dockerfile", out, Options{})
	if err != nil {
		t.Fatalf("the fixed file cannot be read: %v\n%s", err, out)
	}
	if len(again.Pins()) != len(left) {
		t.Fatalf("%d pins after fixing, want %d:\n%s\n%v\n%v", len(again.Pins()), len(left), out, again.Pins(), left)
	}
	twice, more, _ := again.Fix(v)
	if len(more) > 0 || !bytes.Equal(twice, out) {
		t.Fatalf("fixing again changes the file:\n%s", cmp.Diff(string(out), string(twice)))
	}
}

// undone takes the edits back: from the bytes that they replaced, found by
// walking over the result.
func undone(out []byte, fixed []Fixed) []byte {
	edits := map[int]Fixed{}
	for _, x := range fixed {
		edits[x.Edit.Start] = x
	}
	var b bytes.Buffer
	at := 0 // in the original
	for len(out) > 0 || edits[at].Edit.New != "" {
		e, ok := edits[at]
		if ok && e.Edit.New != "" && bytes.HasPrefix(out, []byte(e.Edit.New)) {
			b.WriteString(e.Was)
			out = out[len(e.Edit.New):]
			delete(edits, at)
			at += len(e.Was)
			continue
		}
		if len(out) == 0 {
			break
		}
		b.WriteByte(out[0])
		out = out[1:]
		at++
	}
	return b.Bytes()
}

func FuzzHistory(f *testing.F) {
	for _, s := range []string{
		"/bin/sh -c #(nop) ADD file:0123 in / ", "RUN |2 A=x y B=z /bin/bash -o pipefail -c pip install app==${B} # buildkit",
		"|1 N=20 /bin/sh -c curl https://a.example/$N | bash -", "ENV A=b\nRUN pip install $A", "|", "|1", "RUN ", "cmd /S /C x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range History(strings.Split(s, "\n")) {
			if p.Where == "" || p.Tool == "" || p.Why == "" {
				t.Fatalf("half a pin: %+v", p)
			}
		}
	})
}
