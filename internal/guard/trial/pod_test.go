package trial

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"touchstone.dev/touchstone/internal/guard"
)

// newPod is newSmallBox for a container as containerd's CRI plugin makes them.
func newPod(t testing.TB, namespace, pod string, first ...string) *box {
	t.Helper()
	needNode(t)
	return startBoxAs(t, imageActor, []string{
		"--label", "io.kubernetes.pod.namespace=" + namespace, "--label", "io.kubernetes.pod.name=" + pod,
		"--label", "io.kubernetes.pod.uid=uid-" + pod, "--label", "io.kubernetes.container.name=main",
	}, callItPod, first...)
}

// callItPod gives a container what nobody but the CRI plugin gives it.
func callItPod(t testing.TB, id string) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+node.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", "k8s.io"), 30*time.Second)
	defer cancel()
	client := containersapi.NewContainersClient(conn)
	got, err := client.Get(ctx, &containersapi.GetContainerRequest{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	c, spec := got.GetContainer(), make(map[string]any)
	if err := json.Unmarshal(c.GetSpec().GetValue(), &spec); err != nil {
		t.Fatal(err)
	}
	spec["linux"].(map[string]any)["cgroupsPath"] = "/touchstone-trial/" + id
	if c.Spec.Value, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	c.Extensions = map[string]*anypb.Any{
		"io.cri-containerd.container.metadata": {TypeUrl: "github.com/containerd/cri/pkg/store/container/Metadata", Value: []byte("{}")},
	}
	_, err = client.Update(ctx, &containersapi.UpdateContainerRequest{Container: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"extensions", "spec"}}})
	if err != nil {
		t.Fatal(err)
	}
}

// cluster is a source that knows pods besides.
type cluster struct {
	guard.Source
	pods     map[string]guard.Pod // by UID
	reported map[string]bool
}

// Ground implements guard.Source.
func (c *cluster) Ground(ctx context.Context, last *guard.Ground) (*guard.Ground, error) {
	g, err := c.Source.Ground(ctx, last)
	if err == nil {
		g.Pods, g.Reported = c.pods, c.reported
	}
	return g, err
}
