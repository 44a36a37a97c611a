// Package release knows how the releases of distributions are named: which of
// the ecosystems that advisories are filed under concern a package, and until
// when a release is supported. It holds no advisories and compares no versions
// of packages.
package release

import "strings"

// Family returns the ecosystem without its release: "Debian" of "Debian:12".
// Ecosystems that are packaged again by another ("Root:Alpine:3.20") keep the
// one whose versions they use.
func Family(ecosystem string) string {
	family, rest, _ := strings.Cut(ecosystem, ":")
	if family == "Root" && rest != "" {
		inner, _, _ := strings.Cut(rest, ":")
		return family + ":" + inner
	}
	return family
}

// Tiers returns which of the known ecosystems concern a package of ecosystem,
// as indexes into known. What an earlier tier says of a hole stands above what
// a later one says; within a tier all count. None means that the release is
// never mentioned. version is the package's, because it tells a package of
// Ubuntu Pro from a plain one.
func Tiers(ecosystem, version string, known []string) [][]int {
	family, rel, _ := strings.Cut(ecosystem, ":")
	var tiers [][]int
	add := func(fits func(known string) bool) {
		var tier []int
		for i, k := range known {
			if fits(k) && !contains(tiers, i) {
				tier = append(tier, i)
			}
		}
		if len(tier) > 0 {
			tiers = append(tiers, tier)
		}
	}
	exactly := func(name string) func(string) bool { return func(k string) bool { return k == name } }
	within := func(match func(rel string) bool) func(string) bool {
		return func(k string) bool {
			f, r, _ := strings.Cut(k, ":")
			return f == family && r != "" && match(r)
		}
	}
	switch {
	case !Versioned(family):
		add(exactly(family))
		return tiers
	case rel == "":
		// Without a release nobody knows which advisories count.
		add(exactly(family))
		return tiers
	}
	switch family {
	case "Ubuntu":
		base := ubuntuBase(rel)
		pro := func(r string) bool { return strings.HasPrefix(r, "Pro:") && ubuntuBase(r) == base }
		plain := func(r string) bool { return !strings.HasPrefix(r, "Pro:") && ubuntuBase(r) == base }
		// Versions of Ubuntu Pro say so; the plain advisories call them
		// vulnerable for ever.
		if strings.Contains(version, "esm") || strings.HasPrefix(rel, "Pro:") {
			add(within(pro))
		}
		add(within(plain))
		if len(tiers) == 0 {
			add(within(pro))
		}
	case "Red Hat":
		add(exactly(ecosystem))
		product := redhatProduct(rel)
		add(within(func(r string) bool { return redhatProduct(r) == product }))
	case "SUSE":
		add(exactly(ecosystem))
		level := suseLevel(rel)
		ltss := func(r string) bool { return strings.Contains(r, "LTSS") || strings.Contains(r, "ESPOS") }
		server := func(r string) bool { return level != "" && suseLevel(r) == level && !strings.Contains(r, "Micro") }
		add(within(func(r string) bool { return server(r) && !ltss(r) }))
		if len(tiers) == 0 || ltss(rel) {
			add(within(server))
		}
	default:
		add(exactly(ecosystem))
		short := shortRelease(family, rel)
		add(within(func(r string) bool { return r == short }))
	}
	if len(tiers) > 0 {
		add(exactly(family)) // records that concern every release
	}
	return tiers
}

// Versioned reports whether the family files its advisories by release.
func Versioned(family string) bool {
	switch family {
	case "Debian", "Ubuntu", "Alpine", "Red Hat", "AlmaLinux", "Rocky Linux", "SUSE", "openSUSE", "Mageia", "openEuler",
		"Alpaquita", "BellSoft Hardened Containers", "Azure Linux", "Photon OS", "Root:Debian", "Root:Alpine", "Root:Ubuntu":
		return true
	}
	return false
}

func contains(tiers [][]int, i int) bool {
	for _, t := range tiers {
		for _, j := range t {
			if i == j {
				return true
			}
		}
	}
	return false
}

// ubuntuBase returns the number alone: "22.04" of "Pro:FIPS:22.04:LTS".
func ubuntuBase(rel string) string {
	for part := range strings.SplitSeq(rel, ":") {
		if part != "" && part[0] >= '0' && part[0] <= '9' {
			return part
		}
	}
	return rel
}

// redhatProduct returns product and version of the CPE-like names that Red Hat
// files advisories under: "enterprise_linux:9" of "enterprise_linux:9::appstream"
// and of plain "9.4", "rhel_eus:9.2" of "rhel_eus:9.2::baseos". Minor releases of
// the main product share the major's advisories.
func redhatProduct(rel string) string {
	product, rest, ok := strings.Cut(rel, ":")
	if !ok {
		product, rest = "enterprise_linux", rel
	}
	number, _, _ := strings.Cut(rest, ":")
	if product == "enterprise_linux" {
		number, _, _ = strings.Cut(number, ".")
	}
	return product + ":" + number
}

// suseLevel returns version and service pack in one form: "15 SP5" of
// "Linux Enterprise Server 15 SP5-LTSS" and of os-release's "15.5".
func suseLevel(rel string) string {
	if major, minor, ok := strings.Cut(rel, "."); ok && digits(major) && digits(minor) {
		if major == "16" {
			return rel
		}
		if minor == "0" {
			return major
		}
		return major + " SP" + minor
	}
	fields := strings.Fields(rel)
	for i := len(fields) - 1; i >= 0; i-- {
		word, _, _ := strings.Cut(fields[i], "-")
		if digits(strings.TrimPrefix(word, "SP")) && strings.HasPrefix(word, "SP") && i > 0 {
			return fields[i-1] + " " + word
		}
		if digits(word) || word == "16.0" || word == "16.1" {
			return word
		}
	}
	return ""
}

// shortRelease cuts a release to the form that the family's advisories use.
func shortRelease(family, rel string) string {
	switch family {
	case "Debian", "AlmaLinux", "Rocky Linux", "Root:Debian":
		major, _, _ := strings.Cut(rel, ".")
		return major
	case "Alpine":
		if rel == "" || rel[0] != 'v' && (rel[0] < '0' || rel[0] > '9') {
			return rel
		}
		parts := strings.SplitN(strings.TrimPrefix(rel, "v"), ".", 3)
		if len(parts) < 2 {
			return rel
		}
		return "v" + parts[0] + "." + parts[1]
	}
	return rel
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
