package packed_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/packed"
)

func TestLawWhatIsPackedComesBack(t *testing.T) {
	codec, err := packed.New[touchstone.Evidence]()
	if err != nil {
		t.Fatal(err)
	}
	evidence := rapid.Make[touchstone.Evidence]()
	rapid.Check(t, func(t *rapid.T) {
		e := evidence.Draw(t, "evidence")
		e.Created = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "created"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
		got, err := codec.Unpack(codec.Pack(&e))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&e, got); diff != "" {
			t.Fatalf("(-packed +unpacked)\n%s", diff)
		}
	})
}

func TestAnotherTypeIsNotRead(t *testing.T) {
	type one struct{ A, B string }
	type other struct{ A, C string }
	a, err := packed.New[one]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := packed.New[other]()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Unpack(a.Pack(&one{"x", "y"})); !errors.Is(err, packed.ErrForm) {
		t.Error(err)
	}
	if _, err := packed.New[struct{ secret int }](); err == nil {
		t.Error("a field that is not exported was taken")
	}
	type endless struct{ Next *endless }
	if _, err := packed.New[endless](); err == nil {
		t.Error("a type that contains itself was taken")
	}
}

func FuzzUnpack(f *testing.F) {
	codec, err := packed.New[touchstone.Evidence]()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(codec.Pack(evidence(2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := codec.Unpack(b); err == nil && e == nil || err != nil && !errors.Is(err, packed.ErrForm) {
			t.Fatal(e, err)
		}
	})
}

func evidence(n int) *touchstone.Evidence {
	e := &touchstone.Evidence{Schema: touchstone.SchemaEvidence, ID: "sha256:1", Configuration: touchstone.Configuration{Labels: map[string]string{"a": "b"}}}
	for i := range n {
		e.Packages = append(e.Packages, touchstone.Package{
			Name: fmt.Sprintf("package-%d", i), Version: "1.2.3-4+deb12u5", PURL: fmt.Sprintf("pkg:deb/debian/package-%d@1.2.3-4%%2Bdeb12u5?arch=amd64&distro=debian-12", i),
			Ecosystem: "Debian:12", Source: "source", SourceVersion: "1.2.3-4+deb12u5", Path: "var/lib/dpkg/status", Licences: []string{"GPL-2.0-or-later"},
		})
	}
	return e
}

func BenchmarkUnpack(b *testing.B) {
	codec, err := packed.New[touchstone.Evidence]()
	if err != nil {
		b.Fatal(err)
	}
	e := evidence(300)
	quick := codec.Pack(e)
	slow, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("packed", func(b *testing.B) {
		for b.Loop() {
			if _, err := codec.Unpack(quick); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			if err := json.Unmarshal(slow, &touchstone.Evidence{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
