package packages

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/packages/rpmdb"
)

// readRpm reads rpm's database. A version is written as rpm compares it,
// "epoch:version-release" with the epoch left out where it is 0.
func readRpm(ctx context.Context, f *file) error {
	err := rpmdb.Each(ctx, f.Content, f.Size, func(header []byte) error {
		p, err := rpmdb.Parse(header)
		if err != nil {
			f.fail(limited(err))
			return nil // one package that cannot be read hides no other
		}
		return addRpm(f, &p)
	})
	return limited(err)
}

func addRpm(f *file, p *rpmdb.Package) error {
	if p.Name == "gpg-pubkey" {
		return nil // a key that rpm trusts, kept as if it were a package
	}
	version := p.Version + "-" + p.Release
	epoch := ""
	if p.Epoch > 0 {
		epoch = strconv.FormatUint(uint64(p.Epoch), 10)
	}
	source, sourceVersion := p.SourceNameVersion()
	full := func(v string) string {
		if epoch == "" || v == "" {
			return v
		}
		return epoch + ":" + v
	}
	err := f.add(touchstone.Package{
		Name: p.Name, Version: full(version), Source: source, SourceVersion: full(sourceVersion), Licences: licences(p.Licence),
		PURL: purlOf("rpm", "", p.Name, version, "arch", p.Arch, "epoch", epoch, "upstream", p.Source),
	})
	if err != nil || !ofVendor(p.Vendor) {
		return err
	}
	for path := range p.Files {
		if err := f.own(path); err != nil {
			return err
		}
	}
	return nil
}

// ofVendor reports whether a distribution built the package, and not somebody who
// offers packages for it.
func ofVendor(vendor string) bool {
	vendor = strings.ToLower(vendor)
	for _, v := range [...]string{
		"red hat", "centos", "fedora", "almalinux", "rocky", "oracle america", "amazon", "suse", "microsoft corporation",
		"vmware", "photon", "cloudlinux", "openeuler", "mageia", "anolis", "eurolinux",
	} {
		if strings.Contains(vendor, v) {
			return true
		}
	}
	return false
}

// readRpmLog says that the database has changes which were not merged into it.
func readRpmLog(_ context.Context, f *file) error {
	return fmt.Errorf("%w: the rpm database was left with %d bytes of changes beside it; packages may be missing\nhint: run \"rpm --rebuilddb\" at the end of the build", errUnsupported, f.Size)
}

// limited gives errors of rpmdb the mark that this package knows.
func limited(err error) error {
	if errors.Is(err, rpmdb.ErrLimit) {
		return fmt.Errorf("%w: %w", errLimit, err)
	}
	return err
}
