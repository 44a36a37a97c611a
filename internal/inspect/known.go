package inspect

import (
	"encoding/json"

	"touchstone.dev/touchstone"
)

// Known returns the evidence of an image that was read before, by the digest of its
// config and the diff IDs of its layers, bottom first. It reads nothing of the image.
func (in *Inspector) Known(config touchstone.Digest, diffIDs []touchstone.Digest) (*touchstone.Evidence, bool) {
	data, err := in.store.Record(kindEvidence, string(EvidenceID(config, diffIDs))+" "+in.settings())
	if err != nil {
		return nil, false
	}
	e := &touchstone.Evidence{}
	if json.Unmarshal(data, e) != nil || e.Config != config {
		return nil, false
	}
	return e, true
}
