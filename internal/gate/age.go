package gate

import (
	"context"
	"errors"
	"time"

	"touchstone.dev/touchstone"
)

// Built returns when the oldest image under a digest was built, as its evidence says;
// zero where it was not seen, or does not say.
func (d *Door) Built(ctx context.Context, repository string, digest touchstone.Digest) (time.Time, error) {
	seen, err := d.look(ctx, artifactKey(repository, digest))
	if err != nil || seen == nil {
		return time.Time{}, err
	}
	all, err := d.inspected(seen, named{repository: repository, digest: digest})
	if errors.Is(err, errLost) {
		return time.Time{}, nil // it is scanned again
	}
	if err != nil {
		return time.Time{}, err
	}
	var oldest time.Time
	for i := range all {
		if t := all[i].Evidence.Created; !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return oldest, nil
}

// Resolve returns the digest that a reference has in its registry now, or why that
// cannot be told.
func (d *Door) Resolve(ctx context.Context, reference string, by Credential) (digest touchstone.Digest, problem string) {
	n, err := parse(reference)
	if err != nil {
		return "", err.Error()
	}
	if n.digest != "" {
		n.tag = ""
	}
	if digest, problem = d.resolver.resolve(ctx, n, by); digest == "" {
		digest = n.digest
	}
	return digest, problem
}
