package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

func entries() *rapid.Generator[record.Entry] {
	digest := rapid.Custom(func(t *rapid.T) touchstone.Digest {
		if rapid.Bool().Draw(t, "none") {
			return ""
		}
		return touchstone.DigestOf(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	})
	return rapid.Custom(func(t *rapid.T) record.Entry {
		return record.Entry{
			Seq: rapid.Uint64().Draw(t, "seq"), Time: time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "ms")).UTC(),
			ID: rapid.String().Draw(t, "id"), Kind: rapid.String().Draw(t, "kind"), Actor: rapid.String().Draw(t, "actor"),
			About: rapid.String().Draw(t, "about"), Body: digest.Draw(t, "body"), Prev: digest.Draw(t, "prev"),
		}
	})
}

func TestWhatIsEncodedIsDecodedAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := entries().Draw(t, "entry")
		b, err := record.Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		e.Hash = record.Sum(&e)
		got, err := record.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Fatalf("(-encoded +decoded)\n%s", diff)
		}
	})
}

func TestNoTwoEntriesHaveOneHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := entries().Draw(t, "one"), entries().Draw(t, "other")
		if !cmp.Equal(a, b) && record.Sum(&a) == record.Sum(&b) {
			t.Fatalf("%+v and %+v have the same hash", a, b)
		}
	})
}

// TestTheEncodingNeverChanges: whoever kept a checkpoint must find the same hash
// in ten years.
func TestTheEncodingNeverChanges(t *testing.T) {
	e := record.Entry{
		Seq: 7, ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Time: time.UnixMilli(1_800_000_000_123), Kind: "decision", Actor: "ann",
		About: "registry.example/cart@sha256:…", Body: touchstone.DigestOf([]byte("{}")), Prev: touchstone.DigestOf(nil),
	}
	const want = "sha256:a05e201140a81964c2cc8821660f5e06c20bfb8533bdbcea3fdd67d3287c8e30"
	if got := record.Sum(&e); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if record.Sum(&record.Entry{Body: "sha256:12"}) != "" {
		t.Error("an entry with a malformed digest has a hash")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := record.Encode(&record.Entry{Seq: 1, Kind: "a", Body: touchstone.DigestOf(nil)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := record.Decode(b)
		if err != nil {
			return
		}
		if again, err := record.Encode(&e); err != nil || string(again) != string(b) {
			t.Errorf("%x was read, and is written as %x (%v)", b, again, err)
		}
	})
}

func FuzzReadCheckpoint(f *testing.F) {
	private, public, err := record.NewKey("record.example")
	if err != nil {
		f.Fatal(err)
	}
	root := touchstone.DigestOf(nil)
	signed, err := record.Sign(private, 17, root)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add(strings.Replace(signed, "17", "18", 1))
	f.Add("record.example\n17\n")
	f.Fuzz(func(t *testing.T, note string) {
		for _, one := range append(record.SplitNotes(note), note) {
			c, err := record.ReadCheckpoint(one, public)
			if err == nil && (c.Size != 17 || c.Root != root) {
				t.Errorf("%q was never signed, and is read as %+v", one, c)
			}
		}
	})
}

func TestNotesArePartedAgain(t *testing.T) {
	private, _, err := record.NewKey("record.example")
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	for size := range uint64(3) {
		signed, err := record.Sign(private, size+1, touchstone.DigestOf(nil))
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, signed)
	}
	for name, text := range map[string]string{
		"one after the other": strings.Join(notes, "\n\n"),
		"one unfinished":      notes[0] + "\n\nrecord.example\n9" + "\n\n" + notes[1] + "\n\n" + notes[2],
		"one without its end": strings.Join(notes, "\n") + "\n\n" + notes[0][:len(notes[0])-5],
	} {
		if diff := cmp.Diff(notes, record.SplitNotes(text)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestIDsSort(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	last := ""
	for range 1000 {
		id := record.NewID(now)
		if id <= last || len(id) != 26 {
			t.Fatalf("%s comes after %s", id, last)
		}
		last = id
	}
	for _, at := range []time.Time{{}, time.UnixMilli(1 << 60)} {
		if id := record.NewID(at); len(id) != 26 {
			t.Errorf("at %v: %q", at, id)
		}
	}
}
