package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// expanded is the command of a probe as the kubelet executes it: with the values that
// the container's own variables have in the pod, none of which is taken from elsewhere
// (k8s.io/kubernetes, pkg/kubelet/prober; "Define dependent environment variables").
// Commands of hooks are executed as they stand.
func expanded(command []string, variables []corev1.EnvVar) []string {
	values := make(map[string]string, len(variables))
	for _, v := range variables {
		values[v.Name] = v.Value
	}
	out := make([]string, 0, len(command))
	for _, word := range command {
		out = append(out, expand(word, values))
	}
	return out
}

// expand replaces $(NAME) where there is such a variable, and $$ by $; everything
// else stays.
func expand(word string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(word, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			word = rest[1:]
		case strings.HasPrefix(rest, "(") && closed:
			value, known := values[name]
			if !known {
				value = "$(" + name + ")"
			}
			b.WriteString(value)
			word = after
		default:
			b.WriteByte('$')
			word = rest
		}
	}
}
