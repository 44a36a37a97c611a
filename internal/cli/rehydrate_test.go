package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/cluster"
)

// What is due in a real API server is told in a line each, and a month with it.
func TestADryRunSaysWhatIsDue(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{})
	var missing *cluster.MissingError
	if errors.As(err, &missing) {
		t.Skip(missing.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	ns := c.Namespace(t, "shop", nil)
	p := cluster.Pod(ns, "lone", "registry.example/shop/cart:1.4")
	p.Spec.NodeName = "node1"
	p, err = c.Client().CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "lone", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}},
	}
	if _, err = c.Client().CoreV1().Pods(ns).UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "touchstone.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nenvironments: [prod]\nrules: {replace-after: {prod: at most 7d}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string, string) {
		var out, problems bytes.Buffer
		later := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &problems, getenv: func(string) string { return "" }, now: func() time.Time { return time.Now().Add(20 * 24 * time.Hour) }}
		all := append([]string{"rehydrate", "--dry-run", "--kubeconfig", c.Kubeconfig(), "--rules", file, "--data", filepath.Join(folder, "data")}, args...)
		return later.run(context.Background(), all), out.String(), problems.String()
	}
	code, out, problems := run()
	for _, want := range []string{"Pod " + ns + "/lone: due since ", "for its age (20d, at most 7d); in the way: a bare pod", "1 of 1 workloads", "DAY ", "1 bare pod"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if code != 0 || t.Failed() {
		t.Fatalf("code %d\n%s%s", code, out, problems)
	}
	if code, out, _ = run(ns + "/lone"); code != 0 || strings.Contains(out, "DAY") {
		t.Errorf("code %d\n%s", code, out)
	}
	if code, _, problems = run("nobody"); code != ExitUndecided || !strings.Contains(problems, `nothing runs that is called "nobody"`) {
		t.Errorf("code %d: %s", code, problems)
	}
}
