package oci

import (
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// errNoChoice says that nothing has the name or digest that was asked for.
var errNoChoice = errors.New("no such image")

// annotationName is where containerd and docker keep an image's full name.
const annotationName = "io.containerd.image.name"

// named is something in an index.json with all the names that it has there.
type named struct {
	descriptor ocispec.Descriptor
	names      []string
}

// chooseRoots returns the entries of an index.json that are the image asked
// for. With no choice there must be one image: one name at most, and no
// platform twice.
func chooseRoots(entries []ocispec.Descriptor, choice string) ([]ocispec.Descriptor, error) {
	all := unrepeated(entries)
	if len(all) == 0 {
		return nil, fmt.Errorf("it holds no image")
	}
	if choice == "" && len(all) > 1 && !onePerPlatform(all) {
		return nil, severalError(labels(all))
	}
	var chosen []ocispec.Descriptor
	for _, n := range all {
		if choice == "" || string(n.descriptor.Digest) == choice || hasName(n.names, choice) {
			chosen = append(chosen, n.descriptor)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w: %s\nhint: there is %s", errNoChoice, clean(choice), list(labels(all)))
	}
	return chosen, nil
}

// unrepeated joins the entries for one digest: docker save writes an entry for
// each tag.
func unrepeated(entries []ocispec.Descriptor) []named {
	var all []named
	at := map[string]int{}
	for _, d := range entries {
		n, met := at[string(d.Digest)]
		if !met {
			n = len(all)
			at[string(d.Digest)] = n
			all = append(all, named{descriptor: d})
		}
		for _, key := range []string{annotationName, ocispec.AnnotationRefName} {
			if name := d.Annotations[key]; name != "" {
				all[n].names = append(all[n].names, name)
			}
		}
	}
	return all
}

// onePerPlatform reports whether the entries are the platforms of one image.
func onePerPlatform(all []named) bool {
	met := map[platform]bool{}
	for _, n := range all {
		p, ok := platformOf(n.descriptor)
		if !ok || met[p] && !p.unrunnable() || !slices.Equal(n.names, all[0].names) {
			return false
		}
		met[p] = true
	}
	return true
}

// labels returns what each entry can be chosen by.
func labels(all []named) []string {
	var texts []string
	for _, n := range all {
		if len(n.names) > 0 {
			texts = append(texts, n.names[0])
		} else {
			texts = append(texts, "@"+string(n.descriptor.Digest))
		}
	}
	return texts
}

func severalError(labels []string) error {
	return fmt.Errorf("it holds several images: %s\nhint: choose one by its name after the path, as in docker-archive:PATH:NAME, oci-archive:PATH:NAME or oci:PATH:NAME, or by @DIGEST", list(labels))
}

func hasName(names []string, choice string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return sameName(name, choice) })
}

// sameName reports whether two names mean the same image, with the parts that
// people leave out ("cart" and "docker.io/library/cart:latest").
func sameName(a, b string) bool { return a == b || FullName(a) == FullName(b) }
