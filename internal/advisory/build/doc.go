// Package build makes an index of advisories out of their published sources.
//
// The records of all sources are read in parallel, condensed, and spilled to
// unlinked temporary files, so that memory does not grow with their text. Then,
// in the order of the sources, whatever thread read what first:
//
//	names     all names of one hole become one group (union-find); a bulletin
//	          that names several holes stays outside and is attached to each
//	holes     what the records of a group say is merged: score, dates, summary
//	packages  what is said of each package is gathered, its versions are put in
//	          order, and ranges become ranks
//
// The same sources give the same bytes. Nothing here decides whether a package
// is vulnerable.
package build
