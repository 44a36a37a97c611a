package oci

import (
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Registries says how registries are reached. The zero value is good.
type Registries struct {
	// Mirrors names, for a registry ("docker.io"), where to look first: a
	// registry with an optional path ("mirror.example/hub"), to which the
	// repository's name is appended. The registry itself is asked when the
	// mirror does not answer or does not have it.
	Mirrors map[string]string
	// Insecure lists the registries ("registry.example:5000") that may be
	// reached by plain HTTP. Those on loopback always may.
	Insecure []string
	// Keychain finds credentials; nil means those of docker and podman.
	Keychain authn.Keychain
	// UserAgent is how requests are signed; "" means "touchstone".
	UserAgent string
	// Connect bounds making a connection, with TLS; 0 means 10 s. Answer bounds
	// the wait for the header of an answer, Idle each wait for more of its body;
	// 0 means 30 s. A body of which less than 1 KiB a second comes is given up
	// after twice Idle.
	Connect, Answer, Idle time.Duration
	// Retries is how often a request that failed for a passing reason, or a
	// layer that was cut, is taken up again; 0 means 4, less than 0 never.
	Retries int
	// Backoff is the wait before the first retry, doubled for each further
	// one; 0 means 200 ms.
	Backoff time.Duration
	// Transport carries the requests; nil means one made from the above.
	Transport http.RoundTripper
}

func (r Registries) withDefaults() Registries {
	orElse := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	orElse(&r.Connect, 10*time.Second)
	orElse(&r.Answer, 30*time.Second)
	orElse(&r.Idle, 30*time.Second)
	orElse(&r.Backoff, 200*time.Millisecond)
	if r.Retries == 0 {
		r.Retries = 4
	}
	if r.UserAgent == "" {
		r.UserAgent = "touchstone"
	}
	if r.Keychain == nil {
		r.Keychain = authn.DefaultKeychain
	}
	return r
}
