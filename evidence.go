package touchstone

import "time"

// Evidence is everything found inside one artifact. It is immutable and holds
// no vulnerabilities, because those change without the artifact. It is found
// again by config digest and verified diff IDs, never by name.
type Evidence struct {
	Schema string `json:"schema"` // touchstone.dev/evidence/v1
	// ID names the evidence: the SHA-256 over config digest, diff IDs and
	// inspector version.
	ID        Digest `json:"id"`
	Inspector int    `json:"inspector"` // version of the inspector that made it
	Kind      Kind   `json:"kind"`
	Platform  string `json:"platform"`         // "os/architecture[/variant]"; empty where nothing says it
	Config    Digest `json:"config,omitempty"` // digest of the image's config
	// Created is when the image says that it was built; zero when it does not
	// say, or says the epoch as reproducible builds do.
	Created       time.Time       `json:"created,omitzero"`
	Layers        []Layer         `json:"layers"` // bottom first
	OS            OS              `json:"os"`
	Packages      []Package       `json:"packages"`
	Manifest      ManifestSummary `json:"manifest"`
	Configuration Configuration   `json:"configuration"`
	Surface       Surface         `json:"surface"`
	Secrets       []Secret        `json:"secrets"`
	Pins          []Pin           `json:"pins"` // unpinned dependencies that the image's own history shows
	Gaps          []Gap           `json:"gaps"` // what could not be read, and why
}

// Layer is one layer of an image, or the whole of a root file system.
type Layer struct {
	Digest    Digest `json:"digest,omitempty"`    // of the bytes as stored (compressed)
	DiffID    Digest `json:"diffID,omitempty"`    // of the uncompressed tar, as it was read
	Size      int64  `json:"size"`                // bytes as stored
	MediaType string `json:"mediaType,omitempty"` // OCI or Docker media type
	CreatedBy string `json:"createdBy,omitempty"` // the history's instruction, where one is told
}

// OS is the distribution, from os-release(5).
type OS struct {
	ID       string `json:"id,omitempty"`       // "debian"
	Version  string `json:"version,omitempty"`  // VERSION_ID, "12"
	Name     string `json:"name,omitempty"`     // PRETTY_NAME
	Codename string `json:"codename,omitempty"` // VERSION_CODENAME
	Path     string `json:"path,omitempty"`     // where it was read
}

// Package is one piece of installed software.
type Package struct {
	Name    string `json:"name"`    // as its ecosystem names it
	Version string `json:"version"` // as its ecosystem writes it
	PURL    string `json:"purl"`    // package URL (purl-spec)
	// Ecosystem is OSV's name with the release after a colon where OSV has one:
	// "Debian:12", "Alpine:v3.20", "Go", "npm". Empty when OSV has none.
	Ecosystem string `json:"ecosystem"`
	// Source and SourceVersion are what the distribution built the package from
	// and files its advisories under; empty where they equal Name and Version.
	Source        string `json:"source,omitempty"`
	SourceVersion string `json:"sourceVersion,omitempty"` // the version of Source
	// Path is the file that proves the package, without a leading slash:
	// "var/lib/dpkg/status", or the binary or archive itself.
	Path     string   `json:"path"`
	Layer    int      `json:"layer"`              // index into Evidence.Layers of the layer that brought it in
	Licences []string `json:"licences,omitempty"` // as the package declares them; SPDX expressions where it uses those
	// Symbols is the blob of the functions that the Go binary at Path holds;
	// empty when they could not be read or the package is not Go.
	Symbols Digest `json:"symbols,omitempty"`
}

// ManifestSummary describes the manifest: the list of every file, kept as a
// blob of its own because it may have millions of entries.
type ManifestSummary struct {
	Blob        Digest `json:"blob,omitempty"` // names the manifest in the store
	Files       int    `json:"files"`          // entries of every kind
	Executables int    `json:"executables"`    // regular files that can be executed or loaded: ELF, scripts with a shebang, libraries
	Bytes       int64  `json:"bytes"`          // sum of the sizes of regular files
}

// File is one entry of the manifest.
type File struct {
	Path   string   `json:"path"` // without a leading slash, "/"-separated
	Kind   FileKind `json:"kind"`
	Mode   uint32   `json:"mode"` // permission bits with setuid (04000), setgid (02000) and sticky (01000)
	UID    int      `json:"uid"`
	GID    int      `json:"gid"`
	Size   int64    `json:"size"`             // bytes
	SHA256 Digest   `json:"sha256,omitempty"` // of regular files
	Link   string   `json:"link,omitempty"`   // target of a symbolic link
	Exec   ExecKind `json:"exec,omitempty"`   // how it can be executed, judged by content
}

// FileKind is the type of a file.
type FileKind string

// The kinds of file in a manifest.
const (
	FileRegular FileKind = "file"
	FileDir     FileKind = "dir"
	FileSymlink FileKind = "symlink"
	FileDevice  FileKind = "device" // block or character
	FileFifo    FileKind = "fifo"
)

// ExecKind says how a regular file can be executed, by what it holds and not by
// its name or mode.
type ExecKind string

// The ways in which a file can be executed.
const (
	ExecNone    ExecKind = ""
	ExecELF     ExecKind = "elf"     // an ELF program
	ExecLibrary ExecKind = "library" // an ELF shared object without an entry as a program
	ExecScript  ExecKind = "script"  // begins with "#!"
)

// Configuration is what an image says about how it is to be run (OCI
// image-spec, config.md).
type Configuration struct {
	User string `json:"user"` // as written; empty means root
	// UserID is the number that User stands for, by itself or by the artifact's
	// own etc/passwd; empty when that cannot be told.
	UserID       string            `json:"userID,omitempty"`
	Entrypoint   []string          `json:"entrypoint,omitempty"`   // the program and its first arguments
	Command      []string          `json:"command,omitempty"`      // arguments, or the program where there is no entrypoint
	WorkingDir   string            `json:"workingDir,omitempty"`   // the folder that it starts in
	Environment  []string          `json:"environment,omitempty"`  // NAME=value; a secret's value is replaced
	Ports        []string          `json:"ports,omitempty"`        // "8080/tcp"
	Volumes      []string          `json:"volumes,omitempty"`      // folders that are mounted
	Labels       map[string]string `json:"labels,omitempty"`       // free words about the image
	History      []string          `json:"history,omitempty"`      // created_by, bottom first; a secret's value is replaced
	Architecture string            `json:"architecture,omitempty"` // as the config writes it, "amd64"
}

// Surface is what an attacker who is inside would find useful, and what could
// be left out. Paths are without a leading slash.
type Surface struct {
	Setuid          []string `json:"setuid"`          // setuid or setgid executables
	Capabilities    []string `json:"capabilities"`    // "path: cap_net_raw"
	Shells          []string `json:"shells"`          // also busybox and toybox
	PackageManagers []string `json:"packageManagers"` // apt, apk, dnf, pip, npm, …
	Interpreters    []string `json:"interpreters"`    // python, perl, ruby, node, …
	NetworkTools    []string `json:"networkTools"`    // curl, wget, nc, …
	DebugTools      []string `json:"debugTools"`      // gdb, strace, tcpdump, compilers, …
	LoginDaemons    []string `json:"loginDaemons"`    // sshd, dropbear, telnetd, …
	WorldWritable   []string `json:"worldWritable"`   // files anyone may write, and folders without the sticky bit
	Needed          []string `json:"needed"`          // libraries in the closure of the entrypoint
	Unneeded        []string `json:"unneeded"`        // libraries that no executable in the artifact needs
	// EntrypointKnown is false when the entrypoint could not be resolved to a
	// file; Needed is then empty without meaning "none".
	EntrypointKnown bool `json:"entrypointKnown"`
	// Size is the number of entries in all lists above but Needed and Unneeded.
	Size int `json:"size"`
}

// Secret is a secret that was left inside. Its value is never kept.
type Secret struct {
	Kind        string `json:"kind"`           // "private-key", "aws-access-key", …
	Path        string `json:"path"`           // file, or "config: env NAME", "config: history 3"
	Line        int    `json:"line,omitempty"` // 1 is the first
	Layer       int    `json:"layer"`          // index into Evidence.Layers; -1 for the config
	Fingerprint string `json:"fingerprint"`    // keyed: HMAC-SHA-256 with this installation's key, first 16 hex digits
	// Buried is true when a later layer hides or replaces the file: it is still
	// in the artifact, for everybody who pulls it.
	Buried bool `json:"buried,omitempty"`
}

// Pin is a dependency that was named without an exact version or digest.
type Pin struct {
	Where string `json:"where"`         // "Dockerfile:12" or "history 4"
	Tool  string `json:"tool"`          // "apt", "pip", "from", "curl-pipe", …
	What  string `json:"what"`          // "curl", "python:3.12"
	Why   string `json:"why"`           // what can change without anybody noticing
	Fix   string `json:"fix,omitempty"` // what to write instead, where that is known
}

// GapKind says why something could not be read.
type GapKind string

// The kinds of gap. False is special: it is refused everywhere.
const (
	GapFalse       GapKind = "false"       // the bytes contradict their digest, diff ID or config: the artifact lies
	GapCorrupt     GapKind = "corrupt"     // truncated or malformed
	GapLimit       GapKind = "limit"       // larger, deeper or more than a limit allows
	GapUnsupported GapKind = "unsupported" // a format that is not read
	GapFailed      GapKind = "failed"      // an extractor failed or panicked
	GapAbsent      GapKind = "absent"      // bytes that the manifest names are not there (foreign layers)
)

// Gap is something that could not be read. It is part of the answer: unknown is
// never a pass.
type Gap struct {
	Kind   GapKind `json:"kind"`
	Path   string  `json:"path,omitempty"` // the file, without a leading slash; empty when it concerns more
	Layer  int     `json:"layer"`          // index into Evidence.Layers; -1 when it concerns all
	Reader string  `json:"reader"`         // what tried to read: "tar", "go/binary", …
	Reason string  `json:"reason"`         // what went wrong, for people
}
