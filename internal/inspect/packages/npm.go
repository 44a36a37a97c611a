package packages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"touchstone.dev/touchstone"
)

// readNPM reads the package.json of an installed package (npm docs,
// "package.json"). One without name and version only steers tools and proves
// nothing. Nothing but name, version and licence is looked at: the other fields
// take more shapes than anybody has written down, and none of them may hide a
// package.
func readNPM(_ context.Context, f *file) error {
	content, err := f.bytes(maxJSON)
	if err != nil {
		return err
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // Node takes it, too
	var p struct {
		Name, Version     json.RawMessage
		License, Licenses json.RawMessage
		Engines           map[string]json.RawMessage
	}
	if err := json.Unmarshal(content, &p); err != nil {
		if !npmInstalled(f.Path) {
			return nil // a test's broken example; Node would not load it
		}
		var wrongType *json.UnmarshalTypeError
		if !errors.As(err, &wrongType) {
			return fmt.Errorf("parse package.json: %w", err)
		}
	}
	name, version := jsonString(p.Name), strings.TrimPrefix(jsonString(p.Version), "v")
	if name == "" || version == "" {
		return nil
	}
	if _, ok := p.Engines["vscode"]; ok {
		return nil // an extension of an editor, not a package of npm
	}
	return f.add(touchstone.Package{
		Name: name, Version: version, Ecosystem: "npm",
		PURL: purlOfPath("npm", name, version), Licences: npmLicences(p.License, p.Licenses),
	})
}

// npmInstalled reports whether npm put the package.json there:
// node_modules/NAME or node_modules/@SCOPE/NAME.
func npmInstalled(path string) bool {
	above := parent(parent(path))
	if strings.HasPrefix(above[strings.LastIndexByte(above, '/')+1:], "@") {
		above = parent(above)
	}
	return above == "node_modules" || strings.HasSuffix(above, "/node_modules")
}

// npmLicences reads the forms that the field has had: a text, an object with a
// type, a list of either.
func npmLicences(fields ...json.RawMessage) []string {
	var found []string
	for _, field := range fields {
		var list []json.RawMessage
		if json.Unmarshal(field, &list) != nil {
			list = []json.RawMessage{field}
		}
		for _, one := range list {
			var object struct{ Type json.RawMessage }
			if s := jsonString(one); s != "" {
				found = append(found, s)
			} else if json.Unmarshal(one, &object) == nil {
				found = append(found, jsonString(object.Type))
			}
		}
	}
	return licences(found...)
}

// jsonString returns the text of a JSON string; "" for anything else.
func jsonString(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}
