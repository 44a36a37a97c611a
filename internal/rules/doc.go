// Package rules reads the rules of the road and the waivers that stand beside
// them, shows them as people read them, and tries them on the cases that a team
// keeps. It decides nothing: touchstone.Decide does.
//
//	touchstone.yaml ─ Load ─► touchstone.Rules ──────┬─► touchstone.Decide
//	touchstone-waivers.yaml ─ LoadWaivers ─► waivers ─┤
//	touchstone-cases.yaml ─ LoadCases ─► cases ───────┘   (RunCases)
//
// A file is read in two steps: YAML becomes a tree whose every word knows its
// line and column, then the tree becomes rules. All faults of a file are
// reported together, each at its place and with the nearest valid word.
// Conditions of custom rules are compiled and type-checked here, so that what
// loads can be evaluated.
package rules
