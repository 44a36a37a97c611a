package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/api"
	"touchstone.dev/touchstone/internal/cluster"
)

// An image behind a password is read by the pod's own pull secret. That it cannot
// be pulled is told apart from that nobody has seen it; and the password is
// nowhere in what the server keeps.
func pullSecret(t *testing.T, w *world) {
	const password = "tiger-Zq8-in-the-registry"
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/locked:1", good)
	w.r.Require("robot", password)
	t.Cleanup(func() { w.r.Require("", "") })
	w.secret(t, ns, "wrong")

	d := cluster.Deployment(ns, "cart", image, 1)
	d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	if _, err := w.c.Client().AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if said := w.refusal(t, ns, "the tag cannot be resolved", "401"); strings.Contains(said, "not seen before") {
		t.Errorf("it says %q; nobody could look at it", said)
	}
	p := cluster.Pod(ns, "alone", cluster.ByDigest(image, digest))
	p.Spec.ImagePullSecrets = d.Spec.Template.Spec.ImagePullSecrets
	wait(t, "that it cannot be pulled is told", time.Minute, func(ctx context.Context) error {
		_, err := w.c.Client().CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{})
		if err == nil {
			t.Fatal("what nobody could read got in")
		}
		if strings.Contains(err.Error(), "not seen before") || !strings.Contains(err.Error(), "401") {
			return fmt.Errorf("it says: %w", err)
		}
		return nil
	})

	w.secret(t, ns, password)
	pods := w.c.WaitRunning(t, ns, "cart", 1, 2*time.Minute)
	wantImage(t, pods, "cart", pinned(image, digest))
	w.wantNowhere(t, password, base64.StdEncoding.EncodeToString([]byte("robot:"+password)))
}

// secret writes the namespace's pull secret, with a password for the registry.
func (w *world) secret(t *testing.T, ns, password string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("robot:" + password))
	secrets := w.c.Client().CoreV1().Secrets(ns)
	_ = secrets.Delete(t.Context(), "pull", metav1.DeleteOptions{}) // there may be none
	_, err := secrets.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, w.r.Host, auth)},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// wantNowhere fails if any of the words stands in a file of the server's data or in
// what it has said.
func (w *world) wantNowhere(t *testing.T, words ...string) {
	t.Helper()
	read := 0
	look := func(path string) {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return // a file that came and went
		}
		if err != nil {
			t.Fatal(err)
		}
		read += len(data)
		for _, word := range words {
			if bytes.Contains(data, []byte(word)) {
				t.Errorf("%s holds the secret", filepath.Base(path))
			}
		}
	}
	err := filepath.WalkDir(w.s.data, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			look(path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	look(w.s.log.Name())
	if read < 100_000 {
		t.Errorf("only %d bytes were looked through", read)
	}
}

// With the registry down, what runs starts again at the digest at which it runs,
// also in a new ReplicaSet and although the server remembers no tag; another tag
// does not get that digest.
func registryDown(t *testing.T, w *world) {
	ns := w.namespace(t, "prod")
	image, digest := w.push(t, "shop/down:1", good)
	w.seen(t, image)
	w.c.CreateDeployment(t, ns, "cart", image, 1)
	w.c.WaitRunning(t, ns, "cart", 1, time.Minute)
	wait(t, "the server knows what runs", time.Minute, func(ctx context.Context) error {
		if all, err := w.running(ctx, ns); err != nil || len(all) != 1 {
			return fmt.Errorf("%d: %w", len(all), err)
		}
		return nil
	})

	w.r.Down(true)
	t.Cleanup(func() { w.r.Down(false) })
	w.s.kill()
	w.s.start(t)
	if got, err := w.s.Check(t.Context(), api.CheckAsk{Reference: image, Environment: "prod"}); err == nil && !got.Scanning && got.Check.Verdict() == "allowed" {
		t.Errorf("the tag is resolved without a registry: %+v", got.Check.Artifact)
	}
	w.restart(t, ns, "cart")
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", pinned(image, digest))

	before := w.ownerOf(t, ns, "cart")[0].Name
	err := w.change(t, w.c.Client(), ns, "cart", func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
	})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "it is rolled out again", 2*time.Minute, func(ctx context.Context) error {
		pods, err := w.c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(pods.Items) != 1 || pods.Items[0].OwnerReferences[0].Name == before {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
	wantImage(t, w.c.WaitRunning(t, ns, "cart", 1, time.Minute), "cart", pinned(image, digest))

	if err := w.setImage(t, w.c.Client(), ns, "cart", w.r.Host+"/shop/down:2"); err != nil {
		t.Fatal(err)
	}
	w.refusal(t, ns, "the tag cannot be resolved")
}
