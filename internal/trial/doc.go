// Package trial tries touchstone as a whole on real input: a registry as a
// process of its own, a Debian system, what npm and the Go toolchain install, the
// Alpine releases, containerd's store and the machine that it runs on. It holds
// tests alone.
//
// Each test runs the command line as a process (the test's own program, started
// again) and judges its JSON by another's word: dpkg-query, npm, apk's own
// database, osv-scanner. What takes long to make is kept in .cache/trial at the
// top of the project, which may be removed at any time. What cannot be made here
// is a skip that says what is missing; with .ci/prepare, a network, the folder
// ../shared and root nothing is skipped.
package trial
