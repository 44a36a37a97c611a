// Package touchstone holds the words of Touchstone and its one decision. The
// words are Artifact, Evidence, Match, Place, Rule, Waiver, Case and Decision;
// the decision is Decide, a pure function of a Case and the Rules.
//
// Nothing here reads a clock, a disk or a network, and nothing but the standard
// library is imported. The packages under internal gather what a Case holds and
// act on the Decision.
package touchstone
