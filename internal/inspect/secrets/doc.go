// Package secrets finds keys, tokens and passwords that were left inside an
// artifact: in its files, its environment and its history. It finds few things
// and is right about them; a form is added only when it can be told from
// everything else.
//
// Data passes through it so: while a layer streams by, Wants says by path and
// first bytes whether a regular file is text worth looking at, and Scan looks
// at its content. The image's configuration goes through Redact, which also
// replaces every value found, because the configuration is shown to people.
//
// A secret's value is never kept, returned or put into an error. What stays is
// its kind, its place and a fingerprint: HMAC-SHA-256 under a key of this
// installation, so that the same secret is known again and nobody can guess it
// by hashing a list of passwords.
package secrets
