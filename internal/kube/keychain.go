package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"touchstone.dev/touchstone/internal/gate"
)

// Keychain returns what the pull secrets hold, read now; nothing of it is kept. A
// workload that names none has those of its service account, as a pod gets them
// (kubernetes.io, "Add ImagePullSecrets to a service account"). A secret that is
// not there is passed over, as the kubelet does.
func (k *Cluster) Keychain(ctx context.Context, c gate.Credential) (authn.Keychain, error) {
	names := c.Secrets
	if len(names) == 0 && c.Namespace != "" {
		account := c.ServiceAccount
		if account == "" {
			account = "default"
		}
		found, err := k.client.CoreV1().ServiceAccounts(c.Namespace).Get(ctx, account, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err): // then no pod runs as it either
		case err != nil:
			return nil, fmt.Errorf("looking up the service account %s/%s: %w", c.Namespace, account, err)
		default:
			for _, s := range found.ImagePullSecrets {
				names = append(names, s.Name)
			}
		}
	}
	var all keychain
	for _, name := range names {
		s, err := k.client.CoreV1().Secrets(c.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the pull secret %s/%s: %w", c.Namespace, name, err)
		}
		held, ok := logins(s)
		if !ok { // what a parser says could quote the secret
			return nil, fmt.Errorf("the pull secret %s/%s holds no docker configuration", c.Namespace, name)
		}
		all = append(all, held...)
	}
	return all, nil
}

// login is what a docker configuration has for a registry, or for a part of one.
type login struct {
	host string // may hold "*", label by label
	path string // the repositories that begin so; empty for all
	auth authn.AuthConfig
}

// keychain is a list of logins; the first of the longest path wins.
type keychain []login

// logins reads a secret of the type kubernetes.io/dockerconfigjson, or of the older
// kubernetes.io/dockercfg.
func logins(s *corev1.Secret) (keychain, bool) {
	var auths map[string]authn.AuthConfig
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		var whole struct {
			Auths map[string]authn.AuthConfig `json:"auths"`
		}
		if json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &whole) != nil {
			return nil, false
		}
		auths = whole.Auths
	case corev1.SecretTypeDockercfg:
		if json.Unmarshal(s.Data[corev1.DockerConfigKey], &auths) != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	var out keychain
	for registry, auth := range auths {
		host, repositories := splitRegistry(registry)
		out = append(out, login{host: host, path: repositories, auth: auth})
	}
	return out, true
}

// splitRegistry takes the key of a docker configuration apart: with or without
// scheme and version, "https://index.docker.io/v1/", "registry.example/team".
func splitRegistry(key string) (host, repositories string) {
	_, after, found := strings.Cut(key, "://")
	if found {
		key = after
	}
	host, repositories, _ = strings.Cut(key, "/")
	repositories = strings.Trim(repositories, "/")
	if repositories == "v1" || repositories == "v2" {
		repositories = ""
	}
	return dockerHub(host), repositories
}

// dockerHub gives Docker Hub its one name of the many.
func dockerHub(host string) string {
	if host == "docker.io" || host == "registry-1.docker.io" {
		return "index.docker.io"
	}
	return host
}

// Resolve returns the login for a registry or repository, or anonymous.
func (k keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	host := dockerHub(r.RegistryStr())
	_, repository, _ := strings.Cut(r.String(), "/")
	best := -1
	for i := range k {
		inside := k[i].path == "" || repository == k[i].path || strings.HasPrefix(repository, k[i].path+"/")
		if inside && matchHost(k[i].host, host) && (best < 0 || len(k[i].path) > len(k[best].path)) {
			best = i
		}
	}
	if best < 0 {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(k[best].auth), nil
}

// matchHost compares label by label: "*" stands for one label or a part of it
// (kubernetes.io, "Images", section "Interpretation of config.json").
func matchHost(pattern, host string) bool {
	patterns, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(patterns) != len(labels) {
		return false
	}
	for i := range patterns {
		if ok, err := path.Match(patterns[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
