// Package pin finds what a build takes without an exact version or digest, in
// Dockerfiles and Containerfiles, and writes the missing pins into them.
package pin
