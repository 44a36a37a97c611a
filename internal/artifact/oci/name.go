package oci

import "strings"

// FullName returns an image's name with what people leave out: the registry
// (docker.io), docker.io's folder "library", and the tag "latest". Docker Hub's
// other name, index.docker.io, becomes docker.io, so that rules meet one name.
// The rest is left as it is; a text that is no name comes back unharmed.
func FullName(name string) string {
	registry, rest, found := strings.Cut(name, "/")
	if !found || registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		registry, rest = "docker.io", name
	}
	if registry == "index.docker.io" {
		registry = "docker.io"
	}
	if registry == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	last := rest[strings.LastIndexByte(rest, '/')+1:]
	if !strings.ContainsAny(last, ":@") {
		rest += ":latest"
	}
	return registry + "/" + rest
}
