package packages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"touchstone.dev/touchstone"
)

// readComposer reads what Composer has installed: vendor/composer/installed.json,
// a list of packages (Composer 1) or an object that holds one (Composer 2).
func readComposer(_ context.Context, f *file) error {
	content, err := f.bytes(maxJSON)
	if err != nil {
		return err
	}
	type installed struct {
		Name, Version, Type string
		License             json.RawMessage
	}
	var pkgs []installed
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
		err = json.Unmarshal(content, &pkgs)
	} else {
		var object struct{ Packages []installed }
		err = json.Unmarshal(content, &object)
		pkgs = object.Packages
	}
	if err != nil {
		return fmt.Errorf("parse installed.json: %w", err)
	}
	for _, p := range pkgs {
		if p.Name == "" || p.Version == "" {
			f.gap(touchstone.GapCorrupt, fmt.Sprintf("a package of name %q and version %q", p.Name, p.Version))
			continue
		}
		if err := f.add(touchstone.Package{
			Name: p.Name, Version: p.Version, Ecosystem: "Packagist",
			PURL: purlOfPath("composer", p.Name, p.Version), Licences: npmLicences(p.License),
		}); err != nil {
			return err
		}
	}
	return nil
}
