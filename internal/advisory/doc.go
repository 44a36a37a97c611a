// Package advisory answers which published vulnerabilities fit the packages of
// an artifact. It keeps the sources (OSV zips, CVE records, CISA's list of known
// exploited vulnerabilities, EPSS) in one folder, makes an index of them, and
// asks the index. It decides nothing: what it finds are touchstone.Match values
// for Decide.
//
// The folder holds
//
//	state.json          which index is current, and what every source is
//	index-<revision>    the index, read-only and memory-mapped
//	sources/…           the sources as they were published, so that the index
//	                    can be made again without a network
//	lock                held by whoever changes the folder
//
// state.json is replaced by renaming, after everything that it names is on disk:
// a process that is killed leaves the state before or the state after, and
// readers in other processes never wait.
//
//	Folder.Import, Folder.Update ─► package build ─► index-<revision>
//	Folder.Index ─► Index.Match ─► touchstone.Knowledge
//
// Only Folder.Update touches a network.
package advisory
