package gosym

import (
	"net/url"
	"strings"
)

// split cuts the linker's name of a function into the import path of its package
// and the rest: "gopkg.in/yaml%2ev3.(*Decoder).Decode" gives "gopkg.in/yaml.v3"
// and "(*Decoder).Decode". ok is false for what the compiler and linker made for
// themselves (equality of types, build ids).
func split(name string) (pkgPath, rest string, ok bool) {
	// Before Go 1.20 some of these began with "go.", as import paths may.
	if strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "type..") || strings.HasPrefix(name, "go:") {
		return "", "", false
	}
	name = withoutTypeArguments(name)
	// A slash behind a parenthesis belongs to a type: "(*struct { a/b.T }).M".
	head, _, _ := strings.Cut(name, "(")
	slash := strings.LastIndexByte(head, '/') + 1
	dot := strings.IndexByte(head[slash:], '.')
	if dot <= 0 {
		return "", "", false
	}
	pkgPath, rest = name[:slash+dot], name[slash+dot+1:]
	if strings.IndexByte(pkgPath, '%') >= 0 {
		// The linker escapes dots in the last element, and what is not printable
		// ASCII (cmd/internal/objabi, PathToPrefix).
		plain, err := url.PathUnescape(pkgPath)
		if err != nil {
			return "", "", false
		}
		pkgPath = plain
	}
	return pkgPath, rest, rest != ""
}

// withoutTypeArguments drops everything from the first bracket to its partner.
// Type arguments may hold slashes and dots of their own.
func withoutTypeArguments(name string) string {
	open := strings.IndexByte(name, '[')
	if open < 0 {
		return name
	}
	var b strings.Builder
	depth := 0
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// symbols calls yield with every name under which the vulnerability database may
// know the function: "(*T).M" is "T.M"; a closure ("F.func1", "T.M.func2.1"), a
// method value ("T.M-fm") and a deferred call ("F.deferwrap1") show that the
// function they lie in is there. Where "A.B" may be a method or a closure, both
// readings are given.
func symbols(rest string, yield func(string)) {
	rest = strings.TrimSuffix(rest, "-fm")
	receiver, after, isMethod := strings.Cut(rest, ").")
	if isMethod && strings.HasPrefix(receiver, "(") {
		method, _, _ := strings.Cut(after, ".")
		yield(strings.TrimPrefix(strings.TrimPrefix(receiver, "("), "*") + "." + method)
		return
	}
	first, after, more := strings.Cut(rest, ".")
	yield(first)
	if !more || first == "" {
		return
	}
	if receiver, method, ok := strings.Cut(after, ")."); ok && strings.HasPrefix(receiver, "(") {
		// A closure of a method, inlined into F, is called "F.(*T).M.func1".
		method, _, _ = strings.Cut(method, ".")
		yield(strings.TrimPrefix(strings.TrimPrefix(receiver, "("), "*") + "." + method)
		return
	}
	second, third, more := strings.Cut(after, ".")
	yield(first + "." + second)
	if more {
		// A closure of G, inlined into F, is called "F.G.func1".
		third, _, _ = strings.Cut(third, ".")
		yield(second)
		yield(second + "." + third)
	}
}

// aliases calls yield with the path and with what it is called outside a vendor
// folder.
func aliases(pkgPath string, yield func(string)) {
	yield(pkgPath)
	if strings.HasPrefix(pkgPath, "vendor/") {
		yield(pkgPath[len("vendor/"):])
	} else if i := strings.LastIndex(pkgPath, "/vendor/"); i >= 0 {
		yield(pkgPath[i+len("/vendor/"):])
	}
}
