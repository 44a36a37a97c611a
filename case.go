package touchstone

import "time"

// Case is everything that a decision may look at. Gates gather it; Decide reads
// nothing else.
type Case struct {
	Artifact  Artifact
	Evidence  *Evidence // nil when the artifact was never seen
	Knowledge Knowledge
	Question  Question
	Waivers   []Waiver
	// WaiversDigest names the file or set that Waivers came from.
	WaiversDigest Digest
	Now           time.Time
}
