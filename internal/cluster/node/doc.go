// Package node holds the tests that need a real node: all of them share one,
// which is started once. There is nothing else in it.
package node
