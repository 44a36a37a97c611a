// Package surface measures what an attacker who is inside an artifact would
// find useful, and what could be left out of it.
//
// Data passes through it in two steps. While a layer streams by, Look is called
// once for every regular file and returns its Facts: how its content can be
// executed, and what the dynamic linker would load with it. The facts are small
// and are kept with the layer. When all layers are squashed into one Tree,
// Measure reads it once, in path order, and returns the touchstone.Surface.
//
// It judges what files are, never whether they are vulnerable, and it runs
// nothing. Files are told apart by content; names say only what a program is
// for, by the tables in the files shells.go, managers.go, interpreters.go,
// network.go, debug.go and logins.go.
package surface
