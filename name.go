package touchstone

// MatchName reports whether name fits the pattern: "*" stands for any run of
// characters, slashes included, and everything else for itself. A pattern
// without "*" also fits what follows it after "/", ":" or "@", so that
// "registry.example/shop" covers "registry.example/shop/cart:1.4".
func MatchName(pattern, name string) bool {
	if pattern == "" {
		return false
	}
	star := false
	p, n, back, from := 0, 0, 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back, from = true, p+1, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p, n = p+1, n+1
		case p == len(pattern) && !star && (name[n] == '/' || name[n] == ':' || name[n] == '@'):
			return true
		case star:
			from++
			p, n = back, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
