package touchstone

// SSVC holds the decision points of Stakeholder-Specific Vulnerability
// Categorization (CERT/CC, SSVC 2.1) that a source has published for a hole.
// An empty value is unknown.
type SSVC struct {
	Exploitation    string `json:"exploitation,omitempty"`    // none, poc, active
	Automatable     string `json:"automatable,omitempty"`     // no, yes
	TechnicalImpact string `json:"technicalImpact,omitempty"` // partial, total
	Source          string `json:"source,omitempty"`          // who published them
}

// Priority is SSVC's answer for who deploys: how soon to act.
type Priority string

// The priorities, early to late.
const (
	PriorityImmediate  Priority = "immediate"
	PriorityOutOfCycle Priority = "out-of-cycle"
	PriorityScheduled  Priority = "scheduled"
	PriorityDefer      Priority = "defer"
)

// Urgency is a range of priorities: every decision point that nobody has told
// widens it.
type Urgency struct {
	Worst   Priority `json:"worst"`
	Best    Priority `json:"best"`
	Unknown []string `json:"unknown,omitempty"` // the decision points that nobody has told
}

// Impact is SSVC's "Human Impact" of a place: what its failure would do to
// people and to the mission.
type Impact string

// The impacts, mild to grave.
const (
	ImpactUnknown  Impact = ""
	ImpactLow      Impact = "low"
	ImpactMedium   Impact = "medium"
	ImpactHigh     Impact = "high"
	ImpactVeryHigh Impact = "very high"
)

// Prioritize walks SSVC's tree for deployers ("Deployer Patch Application
// Priority" 1.0.0, CERT/CC) for a match in a place. Exploitation and
// Automatable come from the match, System Exposure and Human Impact from the
// place; a point that is unknown is walked with each of its values.
func Prioritize(m *Match, p *Place) Urgency {
	exploitation := m.SSVC.Exploitation
	if m.KnownExploited {
		exploitation = "active"
	}
	var u Urgency
	one := func(name, value string, values ...string) []int {
		for i, v := range values {
			if v == value {
				return []int{i}
			}
		}
		u.Unknown = append(u.Unknown, name)
		all := make([]int, len(values))
		for i := range all {
			all[i] = i
		}
		return all
	}
	exploitations := one("exploitation", exploitation, "none", "poc", "active")
	exposures := one("exposure", string(p.Exposure), string(ExposureInternal), string(ExposureControlled), string(ExposureOpen))
	automatable := one("automatable", m.SSVC.Automatable, "no", "yes")
	impacts := one("human impact", string(p.Impact), string(ImpactLow), string(ImpactMedium), string(ImpactHigh), string(ImpactVeryHigh))
	best, worst := 3, 0
	for _, e := range exploitations {
		for _, x := range exposures {
			for _, a := range automatable {
				for _, h := range impacts {
					leaf := int(deployerTree[((e*3+x)*2+a)*4+h] - '0')
					best, worst = min(best, leaf), max(worst, leaf)
				}
			}
		}
	}
	order := [...]Priority{PriorityDefer, PriorityScheduled, PriorityOutOfCycle, PriorityImmediate}
	u.Best, u.Worst = order[best], order[worst]
	return u
}

// deployerTree holds the leaves of the tree: 0 defer, 1 scheduled, 2
// out-of-cycle, 3 immediate. A line is one exploitation and exposure; within it
// come automatable no and yes, and within those the impact from low to very high.
const deployerTree = "" +
	"0011" + "0111" + // none, small
	"0111" + "1111" + // none, controlled
	"0111" + "1112" + // none, open
	"0111" + "1111" + // poc, small
	"0111" + "1112" + // poc, controlled
	"1112" + "1122" + // poc, open
	"1122" + "1222" + // active, small
	"1122" + "2222" + // active, controlled
	"1223" + "2233" // active, open

// Sooner reports whether u is to be acted on before v: by the worst that it may
// be, then by the best.
func (u Urgency) Sooner(v Urgency) bool {
	if u.Worst != v.Worst {
		return u.Worst.rank() > v.Worst.rank()
	}
	return u.Best.rank() > v.Best.rank()
}

func (p Priority) rank() int {
	switch p {
	case PriorityDefer:
		return 0
	case PriorityScheduled:
		return 1
	case PriorityOutOfCycle:
		return 2
	default:
		return 3
	}
}
