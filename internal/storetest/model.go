package storetest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone/internal/record"
)

// model does any sequence of commits and lists to the store and to a map, and
// finds where they differ.
func model(t *testing.T, s *subject) {
	rapid.Check(t, func(r *rapid.T) {
		m := modelled{t: t, s: s, kind: "kind " + record.NewID(s.now), facts: map[string]record.Fact{}}
		for e, err := range s.Entries(t.Context(), record.EntryQuery{Descending: true, Limit: 1}) {
			wants(t, "listing", err, nil)
			m.seq = e.Seq
		}
		r.Repeat(map[string]func(*rapid.T){"commit": m.commit, "list": m.list})
	})
}

type modelled struct {
	t     *testing.T
	s     *subject
	kind  string
	seq   uint64
	facts map[string]record.Fact
}

func keyOf() *rapid.Generator[string] { return rapid.StringMatching("[ab]{1,3}") }

func tagsOf() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3)
}

func (m *modelled) commit(r *rapid.T) {
	after := maps.Clone(m.facts)
	seq, conflict := m.seq, false
	var changes []record.Change
	for range rapid.IntRange(1, 3).Draw(r, "changes") {
		seq++
		c := record.Change{Kind: m.kind}
		for range rapid.IntRange(0, 3).Draw(r, "facts") {
			f := record.Fact{Kind: m.kind, Key: keyOf().Draw(r, "key"), Tags: tagsOf().Draw(r, "tags")}
			if rapid.Bool().Draw(r, "there") {
				f.Value = []byte(rapid.StringN(1, 8, -1).Draw(r, "value"))
			}
			before, there := after[f.Key]
			switch rapid.IntRange(0, 4).Draw(r, "condition") {
			case 0:
				f.If.Absent = true
				conflict = conflict || there
			case 1:
				f.If.Seq = rapid.Uint64Range(max(m.seq, 4)-3, m.seq+1).Draw(r, "seq")
				conflict = conflict || !there || before.Seq != f.If.Seq
			}
			c.Facts = append(c.Facts, f)
			delete(after, f.Key)
			if f.Value != nil {
				slices.Sort(f.Tags)
				after[f.Key] = record.Fact{Kind: f.Kind, Key: f.Key, Value: f.Value, Tags: slices.Compact(slices.Clone(f.Tags)), Seq: seq}
			}
		}
		changes = append(changes, c)
	}
	entries, err := m.s.Commit(m.t.Context(), changes...)
	switch {
	case conflict && errors.Is(err, record.ErrConflict):
	case conflict || err != nil:
		r.Fatalf("a conflict is expected: %t; got %v", conflict, err)
	case entries[len(entries)-1].Seq != seq:
		r.Fatalf("the last entry is %d, want %d", entries[len(entries)-1].Seq, seq)
	default:
		m.facts, m.seq = after, seq
	}
}

func (m *modelled) list(r *rapid.T) {
	q := record.FactQuery{
		Kind: m.kind, Prefix: rapid.StringMatching("[ab]{0,2}").Draw(r, "prefix"), Tags: tagsOf().Draw(r, "tags"),
		Descending: rapid.Bool().Draw(r, "descending"), Limit: rapid.IntRange(0, 4).Draw(r, "limit"),
	}
	if rapid.Bool().Draw(r, "goes on") {
		q.After = keyOf().Draw(r, "after")
	}
	var want []record.Fact
	for _, key := range slices.Sorted(maps.Keys(m.facts)) {
		f := m.facts[key]
		beyond := q.After == "" || !q.Descending && key > q.After || q.Descending && key < q.After
		if beyond && strings.HasPrefix(key, q.Prefix) && !slices.ContainsFunc(q.Tags, func(t string) bool { return !slices.Contains(f.Tags, t) }) {
			want = append(want, f)
		}
	}
	if q.Descending {
		want = backwards(want)
	}
	if q.Limit > 0 && len(want) > q.Limit {
		want = want[:q.Limit]
	}
	got := gather(m.t, m.s.Facts(m.t.Context(), q))
	for i := range got {
		if len(got[i].Tags) == 0 {
			got[i].Tags = []string{}
		}
	}
	for i := range want {
		if len(want[i].Tags) == 0 {
			want[i].Tags = []string{}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Fatalf("%+v (-want +got)\n%s", q, diff)
	}
}
