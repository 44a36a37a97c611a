package kube_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/gate"
	"touchstone.dev/touchstone/internal/kube"
)

func TestKeychain(t *testing.T) {
	c := shared.Use(t)
	ns := c.Namespace(t, "keys", nil)
	secret := func(name string, kind corev1.SecretType, key, value string) {
		_, err := c.Client().CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: map[string][]byte{key: []byte(value)},
		}, metav1.CreateOptions{})
		check(t, err)
	}
	const config = `{"auths":{"https://registry.example/v1/":{"username":"all","password":"1"},
		"registry.example/shop":{"auth":"c2hvcDoy"},"*.wild.example":{"username":"wild","password":"3"},"https://index.docker.io/v1/":{"username":"hub","password":"4"}}}`
	secret("pull", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, config)
	secret("old", corev1.SecretTypeDockercfg, corev1.DockerConfigKey, `{"registry.example":{"username":"old","password":"5"}}`)
	secret("other", corev1.SecretTypeOpaque, "password", "hunter2")
	_, err := c.Client().CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "old"}},
	}, metav1.CreateOptions{})
	check(t, err)

	k := newCluster(t, c, nil)
	for _, test := range []struct {
		credential gate.Credential
		reference  string
		user       string
	}{
		{gate.Credential{Secrets: []string{"pull"}}, "registry.example/team/app:1", "all"},
		{gate.Credential{Secrets: []string{"pull"}}, "registry.example/shop/cart:1", "shop"},
		{gate.Credential{Secrets: []string{"pull"}}, "registry.example/shopping:1", "all"},
		{gate.Credential{Secrets: []string{"pull"}}, "a.wild.example/x:1", "wild"},
		{gate.Credential{Secrets: []string{"pull"}}, "a.b.wild.example/x:1", ""},
		{gate.Credential{Secrets: []string{"pull"}}, "nginx:1", "hub"},
		{gate.Credential{Secrets: []string{"gone", "pull"}}, "registry.example/team/app:1", "all"},
		{gate.Credential{ServiceAccount: "robot"}, "registry.example/team/app:1", "old"},
		{gate.Credential{}, "registry.example/team/app:1", ""},
	} {
		test.credential.Namespace = ns
		keys, err := k.Keychain(t.Context(), test.credential)
		check(t, err)
		ref, err := name.ParseReference(test.reference)
		check(t, err)
		found, err := keys.Resolve(ref.Context())
		check(t, err)
		got, err := found.Authorization()
		check(t, err)
		if got.Username != test.user {
			t.Errorf("%s by %+v: user %q, want %q", test.reference, test.credential, got.Username, test.user)
		}
		if anonymous := found == authn.Anonymous; anonymous != (test.user == "") {
			t.Errorf("%s by %+v: anonymous %v", test.reference, test.credential, anonymous)
		}
	}
	_, err = k.Keychain(t.Context(), gate.Credential{Namespace: ns, Secrets: []string{"other"}})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), ns+"/other") {
		t.Errorf("a secret of another type: %v", err)
	}
}

func TestMay(t *testing.T) {
	c := shared.Use(t)
	here, elsewhere := c.Namespace(t, "here", nil), c.Namespace(t, "elsewhere", nil)
	_, err := c.Client().RbacV1().Roles(here).Create(t.Context(), &rbac.Role{ObjectMeta: metav1.ObjectMeta{Name: "glass"}, Rules: []rbac.PolicyRule{{
		APIGroups: []string{kube.Group}, Resources: []string{kube.ResourceGlass}, Verbs: []string{"break"},
	}}}, metav1.CreateOptions{})
	check(t, err)
	_, err = c.Client().RbacV1().RoleBindings(here).Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "glass"}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: "glass"},
		Subjects: []rbac.Subject{{Kind: rbac.GroupKind, APIGroup: rbac.GroupName, Name: "on-call"}},
	}, metav1.CreateOptions{})
	check(t, err)
	k := newCluster(t, c, nil)
	alice := authenticationv1.UserInfo{Username: "alice", Groups: []string{"on-call"}, Extra: map[string]authenticationv1.ExtraValue{"scope": {"x"}}}
	for _, test := range []struct {
		who             authenticationv1.UserInfo
		verb, namespace string
		want            bool
	}{
		{alice, "break", here, true},
		{alice, "break", elsewhere, false},
		{alice, "mend", here, false},
		{authenticationv1.UserInfo{Username: "bob"}, "break", here, false},
		{authenticationv1.UserInfo{Username: "root", Groups: []string{"system:masters"}}, "break", elsewhere, true},
	} {
		// The authoriser hears of roles a moment after they are written.
		var got bool
		for range 50 {
			if got, err = k.May(t.Context(), test.who, test.verb, test.namespace); err != nil || got == test.want {
				break
			}
		}
		if err != nil || got != test.want {
			t.Errorf("%s may %s in %s: %v, %v; want %v", test.who.Username, test.verb, test.namespace, got, err, test.want)
		}
	}
}
