package admit

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"touchstone.dev/touchstone"
)

// SettingsOf returns what a pod sets for each of its containers, by name, just as
// they are judged at the door: what runs is judged by the same settings.
func SettingsOf(p *corev1.PodSpec) (map[string]touchstone.Settings, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var s spec
	if err := utiljson.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	out := map[string]touchstone.Settings{}
	for _, one := range s.parts() {
		if one.container != nil {
			out[one.name] = one.settings
		}
	}
	return out, nil
}
