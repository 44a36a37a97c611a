package touchstone

import "time"

// Case is everything that a decision may look at. Gates gather it; Decide reads
// nothing else.
type Case struct {
	Artifact Artifact
	// Evidence is nil when the artifact was never inspected.
	Evidence *Evidence
	// Problem says why the artifact could not be inspected although that was
	// tried, for a reason outside it: the registry is down, the disk is full.
	// What to do stands after "\nhint: ".
	Problem string
	// False says how the artifact contradicts its own digests, when that was
	// found before any layer was read. It is refused everywhere.
	False     string
	Knowledge Knowledge
	Question  Question
	History   History
	Waivers   []Waiver
	// WaiversDigest names the file or set that Waivers came from.
	WaiversDigest Digest
	Now           time.Time
}

// User returns the user that the artifact would run as: the workload's setting,
// else the image's own.
func (c *Case) User() string {
	if c.Question.User != "" || c.Evidence == nil {
		return c.Question.User
	}
	return c.Evidence.Configuration.User
}
