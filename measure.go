package touchstone

// Measure describes a built-in rule: what the rules file may write in its row.
type Measure struct {
	Name  string
	Takes Takes
	// List is the key under which the row lists names ("packages"), or "".
	List string
	// Optional is true where the row may do without the list.
	Optional bool
	// After is true where a cell may say "after 30d": the rule is about matches,
	// which have a moment from which the time counts.
	After bool
	// Of is what the rule is asked about.
	Of    Subject
	About string // one sentence for people: what fails
}

// Subject is what a rule is asked about.
type Subject int

// The subjects of rules.
const (
	OfArtifact Subject = iota
	OfRoad             // the way of an artifact from one environment to the next
	OfWorkload         // what a workload sets for its container
	OfRunning          // what runs
)

// Takes says what a cell of a row may hold.
type Takes int

// What a cell may hold, besides "any" and "allow".
const (
	TakesEffect    Takes = iota // warn, refuse, approve: a fault is there or not
	TakesNumber                 // at most X, below X
	TakesTime                   // at most 30d, below 24h
	TakesAct                    // alert, block, kill: what is done about an act
	TakesWait                   // at least 24h
	TakesApprovals              // 2 of release
	TakesLeave                  // approve, refuse: what "allow" gives at once
	TakesDenial                 // alert, block: of an act that nobody could judge
	TakesEnd                    // stop; "keep" stands for "allow"
)

// Limited reports whether a cell holds a limit.
func (t Takes) Limited() bool {
	switch t {
	case TakesNumber, TakesTime, TakesWait, TakesApprovals:
		return true
	default:
		return false
	}
}

// Measures returns the built-in rules in the order in which people read them.
func Measures() []Measure {
	return []Measure{
		{Name: "cvss", Takes: TakesNumber, After: true, About: "a vulnerability that has a fix (or any, without a row unfixable) scores above the limit"},
		{Name: "unfixable", Takes: TakesEffect, After: true, About: "a vulnerability above the limit of cvss here has no fix yet; asked instead of cvss while that is so"},
		{Name: "known-exploited", Takes: TakesEffect, After: true, About: "a vulnerability is on CISA's list of known exploited ones"},
		{Name: "epss", Takes: TakesNumber, After: true, About: "the probability that a vulnerability is exploited within 30 days (EPSS, 0 to 1) is above the limit"},
		{Name: "unscored", Takes: TakesEffect, After: true, About: "a vulnerability has no score from any source"},
		{Name: "fix-available-for", Takes: TakesTime, About: "a vulnerability that has a fix has been public for longer than the limit"},
		{Name: "mend-within", Takes: TakesTime, Of: OfRunning, About: "what would be refused if it were new has run for longer than the limit since that was first seen"},
		{Name: "no-advisories", Takes: TakesEffect, About: "packages are of an ecosystem or release that the advisories do not cover, or that is out of support"},
		{Name: "stale-advisories", Takes: TakesTime, About: "the advisories were last confirmed current longer ago than the limit"},
		{Name: "gaps", Takes: TakesEffect, About: "something in the artifact could not be read"},
		{Name: "secrets", Takes: TakesEffect, About: "a key, token or password was left inside, in any layer"},
		{Name: "unpinned", Takes: TakesEffect, About: "the build took something without an exact version or digest"},
		{Name: "no-golden-base", Takes: TakesEffect, About: "the artifact does not stand on an approved base, or the approval has expired"},
		{Name: "old-base", Takes: TakesEffect, About: "a newer approved base of the same name is there"},
		{Name: "image-age", Takes: TakesTime, About: "the image was built longer ago than the limit"},
		{Name: "allowed-registries", Takes: TakesEffect, List: "registries", About: "the artifact's name is of none of the listed registries or repositories"},
		{Name: "denied-packages", Takes: TakesEffect, List: "packages", About: "a listed package is there"},
		{Name: "required-packages", Takes: TakesEffect, List: "packages", About: "a listed package is missing"},
		{Name: "licences", Takes: TakesEffect, List: "deny", About: "a package comes under a listed licence"},
		{Name: "runs-as-root", Takes: TakesEffect, About: "the artifact runs as root unless told otherwise"},
		{Name: "setuid", Takes: TakesEffect, About: "a program is setuid or setgid"},
		{Name: "file-capabilities", Takes: TakesEffect, About: "a program has file capabilities"},
		{Name: "shells", Takes: TakesEffect, About: "a shell is inside"},
		{Name: "package-managers", Takes: TakesEffect, About: "a package manager is inside: a way to change what was approved"},
		{Name: "interpreters", Takes: TakesEffect, About: "a script interpreter is inside"},
		{Name: "network-tools", Takes: TakesEffect, About: "a network tool is inside"},
		{Name: "debug-tools", Takes: TakesEffect, About: "a debugger, tracer or compiler is inside"},
		{Name: "login-daemons", Takes: TakesEffect, About: "an SSH, Telnet or other login daemon is inside"},
		{Name: "world-writable", Takes: TakesEffect, About: "anyone may write to a file, or to a folder without the sticky bit"},
		{Name: "surface", Takes: TakesNumber, About: "the attack surface has more entries than the limit"},
		{Name: "executables", Takes: TakesNumber, About: "there are more executable files than the limit"},
		{Name: "unneeded-libraries", Takes: TakesNumber, About: "more libraries than the limit are needed by no program inside"},
		{Name: "unseen", Takes: TakesEffect, About: "the artifact was never inspected"},
		{Name: "promoted", Takes: TakesEffect, Of: OfRoad, About: "the artifact was not promoted to the environment; for a promotion, to the one before"},
		{Name: "soak", Takes: TakesWait, Of: OfRoad, About: "the artifact has been in the environment before for a shorter time than the limit"},
		{Name: "approvals", Takes: TakesApprovals, Of: OfRoad, About: "too few people other than who asks have approved the promotion"},
		{Name: "frozen", Takes: TakesEffect, Of: OfRoad, About: "a freeze holds, or no window is open"},
		{Name: "improves", Takes: TakesLeave, Of: OfRoad, About: "whether what is refused is let through because it is better than what runs"},
		{Name: "privileged", Takes: TakesEffect, Of: OfWorkload, About: "the workload runs its container privileged"},
		{Name: "added-capabilities", Takes: TakesEffect, Of: OfWorkload, List: "allow", Optional: true, About: "the workload adds a capability that is not listed"},
		{Name: "host-access", Takes: TakesEffect, Of: OfWorkload, List: "allow", Optional: true, About: "the workload shares a namespace of the node or mounts a path of it that is not listed"},
		{Name: "own-command", Takes: TakesEffect, Of: OfWorkload, About: "the workload runs another program than the image names"},
		{Name: "restart", Takes: TakesEffect, Of: OfRunning, About: "whether what would be refused if it were new may start again, because it was let in before"},
		{Name: RuleRunUnknown, Takes: TakesAct, Of: OfRunning, About: "something is executed that is not in the artifact"},
		{Name: RuleRunUnjudged, Takes: TakesDenial, Of: OfRunning, About: "something is executed, and nobody could tell in time whether it is in the artifact"},
		{Name: RuleChange, Takes: TakesAct, Of: OfRunning, About: "a file differs from the artifact"},
		{Name: RuleLogin, Takes: TakesAct, Of: OfRunning, About: "a person gets in: exec, attach, debug, SSH, Telnet"},
		{Name: RuleReplaceAfter, Takes: TakesTime, Of: OfRunning, About: "something has run for longer than the limit, and is replaced in its time"},
		{Name: RuleReplaceDeadline, Takes: TakesTime, Of: OfRunning, About: "something has run for longer than the limit, and is replaced regardless"},
		{Name: RuleRebuildAfter, Takes: TakesTime, Of: OfRunning, About: "the image of something that runs was built longer ago than the limit"},
		{Name: RuleAfterDeadline, Takes: TakesEnd, Of: OfRunning, About: "something is past its deadline, and what would follow it is not let in"},
	}
}

// Ignorance returns the names of the five rules that are asked even where the
// rules file has no row for them: absent, they warn, and refuse in the last
// environment.
func Ignorance() []string {
	return []string{"unscored", "no-advisories", "stale-advisories", "gaps", "unseen"}
}
