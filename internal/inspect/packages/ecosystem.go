package packages

import (
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// systemEcosystem returns the name that OSV has for the packages of a type in a
// release of a distribution ("Debian:12"); "" where it has none (osv-schema,
// "affected[].package", defined ecosystems).
func systemEcosystem(kind string, os touchstone.OS) string {
	switch kind {
	case "deb":
		return debEcosystem(os)
	case "apk":
		return apkEcosystem(os)
	case "rpm":
		return rpmEcosystem(os)
	}
	return ""
}

// debianRelease returns the number of a release by its name, for images of a release before it has
// a number in os-release.
func debianRelease(codename string) string {
	switch codename {
	case "stretch":
		return "9"
	case "buster":
		return "10"
	case "bullseye":
		return "11"
	case "bookworm":
		return "12"
	case "trixie":
		return "13"
	case "forky":
		return "14"
	case "duke":
		return "15"
	}
	return ""
}

func debEcosystem(os touchstone.OS) string {
	switch os.ID {
	case "debian":
		release := major(os.Version)
		if release == "" {
			release = debianRelease(os.Codename)
		}
		return of("Debian", release)
	case "ubuntu":
		return of("Ubuntu", ubuntuRelease(os.Version))
	case "echo":
		return "Echo"
	}
	return ""
}

// ubuntuRelease returns the release as OSV writes it: long-term ones, those of
// April in even years, have a word for it.
func ubuntuRelease(version string) string {
	year, month, ok := strings.Cut(version, ".")
	if n, err := strconv.Atoi(year); ok && err == nil && n%2 == 0 && month == "04" {
		return version + ":LTS"
	}
	return version
}

func apkEcosystem(os touchstone.OS) string {
	switch os.ID {
	case "alpine":
		parts := strings.SplitN(os.Version, ".", 3)
		if len(parts) < 2 {
			return "Alpine"
		}
		if strings.Contains(os.Version, "_") { // "3.21.0_alpha20240807": edge, which no advisory is for
			return "Alpine:edge"
		}
		return "Alpine:v" + parts[0] + "." + parts[1]
	case "wolfi":
		return "Wolfi"
	case "chainguard":
		return "Chainguard"
	case "minimos":
		return "MinimOS"
	case "alpaquita":
		return of("Alpaquita", os.Version)
	case "bellsoft-hardened-containers":
		return of("BellSoft Hardened Containers", os.Version)
	case "clnstrt", "cleanstart":
		return "CleanStart"
	}
	return ""
}

func rpmEcosystem(os touchstone.OS) string {
	switch os.ID {
	case "rhel":
		return redHatEcosystem(major(os.Version))
	case "almalinux":
		return of("AlmaLinux", major(os.Version))
	case "rocky":
		return of("Rocky Linux", major(os.Version))
	case "opensuse-leap":
		return of("openSUSE", joined("Leap", os.Version))
	case "opensuse-tumbleweed":
		return "openSUSE:Tumbleweed"
	case "azurelinux", "mariner":
		return of("Azure Linux", major(os.Version))
	case "photon":
		return of("Photon OS", os.Version)
	case "openeuler":
		return of("openEuler", openEulerRelease(os))
	case "mageia":
		return of("Mageia", os.Version)
	}
	if product := suseProduct(os.ID); product != "" {
		return of("SUSE", joined(product, susePack(os.Version)))
	}
	return ""
}

// redHatEcosystem returns the ecosystem of what every system of a release has.
// Red Hat's suffixes are CPEs without their beginning, one for each repository, and
// nothing in an image says which one a package came from.
func redHatEcosystem(release string) string {
	switch release {
	case "":
		return "Red Hat"
	case "5", "6", "7":
		return "Red Hat:enterprise_linux:" + release + "::server"
	}
	return "Red Hat:enterprise_linux:" + release + "::baseos"
}

func suseProduct(id string) string {
	switch id {
	case "sles", "sle-hpc", "sle_hpc":
		return "Linux Enterprise Server"
	case "sles_sap":
		return "Linux Enterprise Server for SAP Applications"
	case "sled":
		return "Linux Enterprise Desktop"
	case "sle-micro":
		return "Linux Enterprise Micro"
	case "sl-micro":
		return "Linux Micro"
	}
	return ""
}

// susePack turns "15.5" into "15 SP5", as advisories call the release. Micro and
// what follows 15 have no service packs.
func susePack(version string) string {
	release, pack, ok := strings.Cut(version, ".")
	if !ok || release != "11" && release != "12" && release != "15" {
		return version
	}
	return release + " SP" + pack
}

// openEulerRelease takes what only the pretty name tells: "openEuler 24.03
// (LTS-SP1)" is "24.03-LTS-SP1".
func openEulerRelease(os touchstone.OS) string {
	if _, after, ok := strings.Cut(os.Name, "("); ok {
		if kind, _, ok := strings.Cut(after, ")"); ok && strings.HasPrefix(kind, "LTS") {
			return os.Version + "-" + strings.ReplaceAll(kind, " ", "-")
		}
	}
	return os.Version
}

func major(version string) string {
	m, _, _ := strings.Cut(version, ".")
	return m
}

func of(ecosystem, release string) string {
	if release == "" {
		return ecosystem
	}
	return ecosystem + ":" + release
}

func joined(product, version string) string {
	if version == "" {
		return product
	}
	return product + " " + version
}
