package touchstone

import "time"

// SchemaDrift is that of a DriftReport.
const SchemaDrift = "touchstone.dev/drift/v1"

// DriftReport says all that differs between what runs, or a folder, and the
// manifest of its artifact: the answer to "touchstone drift".
type DriftReport struct {
	Schema   string    `json:"schema"` // touchstone.dev/drift/v1
	Tool     string    `json:"tool"`   // "touchstone VERSION"
	At       time.Time `json:"at"`
	What     string    `json:"what"`     // what was compared, as the user named it
	Artifact Artifact  `json:"artifact"` // what it was compared with
	Drift    []Drift   `json:"drift"`    // in the order of paths in a manifest
	Gaps     []Gap     `json:"gaps"`     // what could not be told
	// Complete is false when not everything was looked at; the gaps say where it
	// ended.
	Complete bool `json:"complete"`
}

// Drift is a difference, at one path, between what runs and the manifest of its
// artifact. Touching, copying up, linking or moving a file changes no content and
// is none by itself.
type Drift struct {
	Change Change `json:"change"` // added, removed, changed
	// Path is that in the root of what runs, without a leading slash.
	Path string `json:"path"`
	// Volume is the mount point that the path lies under, without a leading slash;
	// empty for the artifact's own root.
	Volume string `json:"volume,omitempty"`
	Want   *File  `json:"want,omitempty"` // what the manifest says; nil where the file was added
	Have   *File  `json:"have,omitempty"` // what is there; nil where the file was removed
	// Managed names the declared configuration management that made the change;
	// empty where it was somebody else.
	Managed string `json:"managed,omitempty"`
}

// Execution is something that is run, or loaded to be run, and whose content is
// not in the artifact.
type Execution struct {
	Kind   ExecutionKind `json:"kind"`
	Path   string        `json:"path"`             // as the process sees it, without a leading slash; "memfd:NAME" for memory
	SHA256 Digest        `json:"sha256,omitempty"` // empty where it could not be read in time, or its size alone told
	Size   int64         `json:"size"`             // bytes
	Volume string        `json:"volume,omitempty"` // as in Drift
	// Unjudged says why nobody could tell in time whether it is in the artifact;
	// empty where it is certain that it is not.
	Unjudged string `json:"unjudged,omitempty"`
}

// ExecutionKind is a way in which content comes to be run.
type ExecutionKind string

// The ways.
const (
	ExecuteProgram ExecutionKind = "program" // execve of a binary
	ExecuteScript  ExecutionKind = "script"  // execve of a file with "#!", or an interpreter that is given the file
	ExecuteLibrary ExecutionKind = "library" // mapped executable into a process, the file that ld.so is given included
	ExecuteMemory  ExecutionKind = "memory"  // a file that has no name any more, or never had one (memfd)
)
