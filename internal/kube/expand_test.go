package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// The cases are those of k8s.io/kubernetes/third_party/forked/golang/expansion.
func TestTheCommandOfAProbeIsWhatTheKubeletExecutes(t *testing.T) {
	variables := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"}, {Name: "EMPTY"}, {Name: "A", Value: "2"}}
	for word, want := range map[string]string{
		"":                 "",
		"plain":            "plain",
		"$(A)":             "2",
		"-$(A)-$(A)":       "-2-2",
		"$(B)":             "$(A)",
		"x$(EMPTY)x":       "xx",
		"$(NONE)":          "$(NONE)",
		"$$(A)":            "$(A)",
		"$$$(A)":           "$2",
		"$$":               "$",
		"cost: $5 $A ${A}": "cost: $5 $A ${A}",
		"$":                "$",
		"$(A":              "$(A",
		"$(":               "$(",
		"$()":              "$()",
		"$($(A))":          "$($(A))",
		"$(A$(A)":          "$(A$(A)",
	} {
		if diff := cmp.Diff([]string{want}, expanded([]string{word}, variables)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", word, diff)
		}
	}
}
