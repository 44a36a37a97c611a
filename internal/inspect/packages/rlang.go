package packages

import (
	"context"
	"errors"
	"fmt"

	"touchstone.dev/touchstone"
)

// readR reads the DESCRIPTION of an installed package of R. Only installed ones
// say when and by what they were built. OSV knows those of CRAN and Bioconductor;
// the latter have views.
func readR(_ context.Context, f *file) error {
	err := readControl(f.Content, func(name string) bool {
		switch name {
		case "package", "version", "license", "built", "biocviews":
			return true
		}
		return false
	}, func(s stanza) error {
		if s["built"] == "" {
			return errStop
		}
		name, version := s["package"], s["version"]
		if name == "" || version == "" {
			return fmt.Errorf("a package of R with name %q and version %q", name, version)
		}
		ecosystem, kind := "CRAN", "cran"
		if _, ok := s["biocviews"]; ok {
			ecosystem, kind = "Bioconductor", "bioconductor"
		}
		if err := f.add(touchstone.Package{
			Name: name, Version: version, Ecosystem: ecosystem, PURL: purlOf(kind, "", name, version), Licences: licences(s["license"]),
		}); err != nil {
			return err
		}
		return errStop
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
