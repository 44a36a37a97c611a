// Package packages reads installed software out of single files: the databases
// of package managers, the metadata that language installers leave, and what
// compilers and linkers write into binaries and archives.
//
// A file goes in through [Readers.Wants], which is asked about every file of a
// layer, and [Readers.Read], which is given those that are wanted and answers
// with packages, the files that a distribution owns, the symbols of a Go binary,
// and gaps. A layer knows no distribution (os-release may lie in another one),
// so packages come out of Read without a release; once the layers are merged,
// [ReadOS] says what the distribution is and [Complete] fills in ecosystem and
// package URL.
//
// What counts is what is installed. Lock files and manifests (package-lock.json,
// Gemfile.lock, requirements.txt, go.mod, pom.xml, Cargo.lock, composer.lock) are
// wishes of a build: they list development dependencies and whole workspaces that
// never reach the image, so they prove nothing and are not read. This is what
// users of image scanners expect, and what trivy does for images.
//
// Formats are parsed by the extractors of osv-scalibr, taken one by one into the
// list in readers.go. Those that the project reads itself are the ones where
// scalibr throws away what a verdict needs (who owns a file, licences, that
// something could not be read) or where its parser trusts its input (memory that a
// length in the file claims, a panic in another goroutine): the distributions'
// databases, Go, cargo-auditable, npm, Python, .NET assemblies and archives inside
// Java archives. Their tests compare with scalibr, or with the tool itself.
//
// Software that was compiled by hand and copied in leaves no such trace; it is in
// the manifest alone.
//
// This package does not read layers, decide which package hides which, or know
// any vulnerability.
package packages
