package cluster_test

import (
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"touchstone.dev/touchstone/internal/cluster"
)

var shared = cluster.NewShared(cluster.Options{})

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

func TestStateOutlivesTheAPIServer(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "kept", map[string]string{"team": "shop"})
	if err := c.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := c.Client().CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
	if err != nil || got.Labels["team"] != "shop" {
		t.Errorf("after the restart: %v, %v", got.GetLabels(), err)
	}
}

func TestSomebodyElseMayDoNothing(t *testing.T) {
	c := shared.Use(t)
	client, err := kubernetes.NewForConfig(c.ImpersonatedConfig("mallory", "developers"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "mallory") {
		t.Errorf("listing secrets as mallory: %v, want forbidden", err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Setenv("KUBERNETES_BINARIES", t.TempDir())
	_, err := cluster.Start(t.Context(), cluster.Options{})
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("without programs: %v", err)
	}
}
