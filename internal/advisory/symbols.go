package advisory

import (
	"fmt"
	"strings"

	"touchstone.dev/touchstone/internal/advisory/index"
)

// Symbols are the functions that a Go binary holds.
type Symbols interface {
	// Has reports whether the function or method is there. symbol is "Func" or
	// "Type.Method" without pointer or type parameters, as the Go vulnerability
	// database writes it.
	Has(pkgPath, symbol string) bool
	// HasPackage reports whether anything of the package is there.
	HasPackage(pkgPath string) bool
}

// absent returns the proof that a binary has nothing of what the statements are
// about; "" when there is none.
//
// Sources that never name symbols (GitHub's advisories) say nothing about them:
// the Go vulnerability database's own statements count where there are any.
func absent(statements []*index.Statement, symbols Symbols, goos, goarch string) string {
	var missing []string
	asked := 0
	for _, s := range statements {
		if !s.Symbolic {
			continue
		}
		asked++
		if len(s.Imports) == 0 {
			return "" // the whole module
		}
		for i := range s.Imports {
			im := &s.Imports[i]
			if !built(im.GOOS, goos) || !built(im.GOARCH, goarch) {
				missing = append(missing, im.Path+" for "+strings.Join(append(im.GOOS[:len(im.GOOS):len(im.GOOS)], im.GOARCH...), ", "))
				continue
			}
			if len(im.Symbols) == 0 {
				if symbols.HasPackage(im.Path) {
					return ""
				}
				missing = append(missing, im.Path)
				continue
			}
			for _, name := range im.Symbols {
				if symbols.Has(im.Path, name) {
					return ""
				}
				missing = append(missing, im.Path+"."+name)
			}
		}
	}
	if asked == 0 || len(missing) == 0 {
		return ""
	}
	const shown = 3
	text := strings.Join(missing[:min(len(missing), shown)], ", ")
	if more := len(missing) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return "the binary holds none of what is vulnerable: " + text
}

// built reports whether code for the listed systems is in a binary for one. An
// empty list is every system; of an unknown binary anything may be true.
func built(list []string, have string) bool {
	if len(list) == 0 || have == "" {
		return true
	}
	for _, s := range list {
		if s == have {
			return true
		}
	}
	return false
}
