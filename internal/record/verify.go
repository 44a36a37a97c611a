package record

// Verification is what verifying a log came to.
type Verification struct {
	Entries uint64 `json:"entries"` // that were read
	Bodies  uint64 `json:"bodies"`  // that are there and agree with their digests
	Removed uint64 `json:"removed"` // bodies that retention has taken away
	OK      bool   `json:"ok"`
	// Faults lists what is wrong, the first first: changed, missing or reordered
	// entries, and checkpoints that do not agree.
	Faults []string `json:"faults,omitempty"`
}
