// Package storetest holds any record.Store to what its interface promises: the
// order of the log and its chain, conditions, tags, pages, snapshots, what many
// callers do at once, and what is still there after a restart. An implementation
// calls Run from a test of its own.
//
// Open gives other rooms' tests a real store to work on.
package storetest
