// Package trial proves the guard on a real containerd and a real kernel: every way
// round that is known, as a test that it works without the guard and fails with it,
// for each layer alone and for both; and the ordinary things, that nothing stops
// them. It holds tests and nothing else: what one room does by itself is proven
// there.
//
// One containerd serves all tests (containerd_test.go). A container is a box
// (box_test.go), whose first process does what a test orders through a socket; what
// it can do is testdata/actor. A guard runs within the test (guard_test.go), or in a
// process of its own where it is to be killed.
//
// A test needs root, containerd, ctr and runc, and says so where it skips.
package trial
