package release

import (
	"strings"
	"time"
)

// Support is how long a release gets advisories.
type Support struct {
	Release string // as in the ecosystem: "12", "v3.20", "22.04"
	Until   string // the last day, as YYYY-MM-DD
}

// Ended returns the day on which support of the ecosystem's release ended, and
// whether that day has passed at now. A release that the table does not know
// has not ended: coverage says whether anything is known of it.
func Ended(ecosystem, version string, now time.Time) (time.Time, bool) {
	family, rel, _ := strings.Cut(ecosystem, ":")
	if family == "Ubuntu" && (strings.HasPrefix(rel, "Pro:") || strings.Contains(version, "esm")) {
		family = "Ubuntu Pro"
	}
	short := shortRelease(family, rel)
	switch family {
	case "Ubuntu", "Ubuntu Pro":
		short = ubuntuBase(rel)
	case "Red Hat":
		product, number, _ := strings.Cut(redhatProduct(rel), ":")
		if product != "enterprise_linux" {
			return time.Time{}, false // extended streams have dates of their own
		}
		short = number
	case "SUSE":
		if strings.Contains(rel, "LTSS") || strings.Contains(rel, "Micro") {
			return time.Time{}, false
		}
		short = suseLevel(rel)
	case "openSUSE":
		short = strings.TrimPrefix(rel, "Leap ")
	}
	for _, s := range supported(family) {
		if s.Release != short {
			continue
		}
		last, err := time.Parse(time.DateOnly, s.Until)
		if err != nil {
			return time.Time{}, false
		}
		return last, !now.Before(last.AddDate(0, 0, 1))
	}
	return time.Time{}, false
}

// supported is the table of the last days on which security advisories are
// written, by the distributions' own announcements as of November 2026. For
// Debian that is the end of LTS, because LTS advisories are in the same feed;
// for Ubuntu the end of standard support, because Pro has a feed of its own.
func supported(family string) []Support {
	switch family {
	case "Debian": // https://wiki.debian.org/LTS
		return []Support{{"7", "2018-05-31"}, {"8", "2020-06-30"}, {"9", "2022-06-30"}, {"10", "2024-06-30"}, {"11", "2026-08-31"}, {"12", "2028-06-30"}, {"13", "2030-06-30"}}
	case "Ubuntu": // https://ubuntu.com/about/release-cycle
		return []Support{{"12.04", "2017-04-28"}, {"14.04", "2019-04-25"}, {"16.04", "2021-04-30"}, {"18.04", "2023-05-31"}, {"20.04", "2025-05-31"},
			{"21.04", "2022-01-20"}, {"21.10", "2022-07-14"}, {"22.04", "2027-05-31"}, {"22.10", "2023-07-20"}, {"23.04", "2024-01-25"}, {"23.10", "2024-07-11"},
			{"24.04", "2029-05-31"}, {"24.10", "2025-07-10"}, {"25.04", "2026-01-15"}, {"25.10", "2026-07-31"}, {"26.04", "2031-05-31"}}
	case "Ubuntu Pro":
		return []Support{{"14.04", "2026-04-30"}, {"16.04", "2028-04-30"}, {"18.04", "2030-04-30"}, {"20.04", "2032-04-30"}, {"22.04", "2034-04-30"}, {"24.04", "2036-04-30"}}
	case "Alpine": // https://alpinelinux.org/releases/
		return []Support{{"v3.0", "2016-05-01"}, {"v3.1", "2016-11-01"}, {"v3.2", "2017-05-01"}, {"v3.3", "2017-11-01"}, {"v3.4", "2018-05-01"}, {"v3.5", "2018-11-01"},
			{"v3.6", "2019-05-01"}, {"v3.7", "2019-11-01"}, {"v3.8", "2020-05-01"}, {"v3.9", "2020-11-01"}, {"v3.10", "2021-05-01"}, {"v3.11", "2021-11-01"},
			{"v3.12", "2022-05-01"}, {"v3.13", "2022-11-01"}, {"v3.14", "2023-05-01"}, {"v3.15", "2023-11-01"}, {"v3.16", "2024-05-23"}, {"v3.17", "2024-11-22"},
			{"v3.18", "2025-05-09"}, {"v3.19", "2025-11-01"}, {"v3.20", "2026-04-01"}, {"v3.21", "2026-11-01"}, {"v3.22", "2027-05-01"}, {"v3.23", "2027-11-01"}}
	case "Red Hat": // https://access.redhat.com/support/policy/updates/errata
		return []Support{{"5", "2017-03-31"}, {"6", "2020-11-30"}, {"7", "2024-06-30"}, {"8", "2029-05-31"}, {"9", "2032-05-31"}, {"10", "2035-05-31"}}
	case "AlmaLinux":
		return []Support{{"8", "2029-03-01"}, {"9", "2032-05-31"}, {"10", "2035-05-31"}}
	case "Rocky Linux":
		return []Support{{"8", "2029-05-31"}, {"9", "2032-05-31"}, {"10", "2035-05-31"}}
	case "SUSE": // https://www.suse.com/lifecycle
		return []Support{{"11 SP4", "2019-03-31"}, {"12", "2016-06-30"}, {"12 SP1", "2017-05-31"}, {"12 SP2", "2018-03-31"}, {"12 SP3", "2019-06-30"}, {"12 SP4", "2020-06-30"},
			{"12 SP5", "2024-10-31"}, {"15", "2019-12-31"}, {"15 SP1", "2021-01-31"}, {"15 SP2", "2021-12-31"}, {"15 SP3", "2022-12-31"}, {"15 SP4", "2023-12-31"},
			{"15 SP5", "2024-12-31"}, {"15 SP6", "2025-12-31"}, {"15 SP7", "2031-07-31"}, {"16.0", "2027-11-30"}}
	case "openSUSE": // https://en.opensuse.org/Lifetime
		return []Support{{"42.3", "2019-06-30"}, {"15.0", "2019-12-03"}, {"15.1", "2021-02-02"}, {"15.2", "2022-01-04"}, {"15.3", "2022-12-31"},
			{"15.4", "2023-12-07"}, {"15.5", "2024-12-31"}, {"15.6", "2026-04-30"}, {"16.0", "2027-10-31"}}
	}
	return nil
}
