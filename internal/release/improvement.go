package release

import (
	"context"
	"fmt"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/record"
)

// ImprovementAsk asks for a digest to be let into a workload against a refusal,
// because it is better than what runs there. Whether it is, the gate finds out
// when the workload asks again.
type ImprovementAsk struct {
	Place touchstone.Place `json:"place"`
	// Workload without a container is asked for all of its containers.
	Workload touchstone.Workload `json:"workload"`
	Artifact string              `json:"artifact"`
	Digest   touchstone.Digest   `json:"digest"`
	Reason   string              `json:"reason,omitempty"` // why it is wanted, for whoever is to approve
}

// Improvement implements gate.Road. It returns those of the newest request that is
// open or granted and whose time is not over; nothing when there is none.
func (r *Release) Improvement(ctx context.Context, w touchstone.Workload, place touchstone.Place, d touchstone.Digest) (string, []touchstone.Approval, error) {
	now := r.c.Now()
	q := record.FactQuery{Kind: factRequest, Tags: []string{"for:" + improving(place, w, d)}, Descending: true}
	for doc, err := range record.List[Request](ctx, r.c.Store, q) {
		if err != nil {
			return "", nil, fmt.Errorf("looking for approvals of an improvement: %w", err)
		}
		a := &doc.Content
		// Who may ask and approve goes by the environment that the request names, so
		// that it is good for no other.
		fits := a.Improvement.Place.Environment == place.Environment &&
			(a.Improvement.Workload.Container == "" || a.Improvement.Workload.Container == w.Container)
		if fits && (a.State == Open || a.State == Granted) && now.Before(a.Until) {
			return a.By.Name, a.Approvals, nil
		}
	}
	return "", nil, nil
}

// improving names a digest in a workload, all of its containers together.
func improving(p touchstone.Place, w touchstone.Workload, d touchstone.Digest) string {
	return strings.Join([]string{string(KindImprovement), p.Cluster, p.Namespace, w.Kind, w.Name, string(d)}, "/")
}

func checkImprovement(a *ImprovementAsk, r *touchstone.Rules) error {
	switch {
	case !a.Digest.Valid():
		return faulty(ErrInvalid, "an improvement is of one digest", "sha256: and 64 hexadecimal digits; the refusal names it")
	case a.Workload.Kind == "" || a.Workload.Name == "" || a.Place.Namespace == "":
		return faulty(ErrInvalid, "an improvement is for one workload", "name its namespace, kind and name, as the refusal does")
	}
	return known(a.Place.Environment, r.Environments)
}
