package drift

import "touchstone.dev/touchstone"

// News says what a finding is to somebody who heard those of the scan before.
type News int

// What a finding may be.
const (
	New   News = iota // not there before, or other than before
	Known             // as it was told before
	Gone              // told before, and no difference any more; the Drift is that of before
)

// Finding is one difference, or something that could not be told. A gap is told
// by each scan that meets it, and what was told of its path before still stands.
type Finding struct {
	News  News
	Drift touchstone.Drift // without meaning where Gap is set
	Gap   *touchstone.Gap  // its path is that in the root of what runs
}

// Summary is what a scan came to.
type Summary struct {
	Files int   // names that were looked at
	Read  int   // files that were read
	Bytes int64 // that were read
	New   int   // differences of each sort
	Known int
	Gone  int
	Gaps  int
	// Complete is false when the scan ended at one of its bounds. The next one goes
	// on from there.
	Complete bool
}

func (s *Summary) add(o *Summary) {
	s.Files += o.Files
	s.Read += o.Read
	s.Bytes += o.Bytes
	s.New += o.New
	s.Known += o.Known
	s.Gone += o.Gone
	s.Gaps += o.Gaps
	s.Complete = s.Complete && o.Complete
}

// gap describes what could not be told, of a path that is filled in when it is.
func gap(kind touchstone.GapKind, reason string) *touchstone.Gap {
	return &touchstone.Gap{Kind: kind, Layer: -1, Reader: "drift", Reason: reason}
}
