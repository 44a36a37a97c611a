package gate

import "context"

// TellUndecided is what the door does now and then for those about whom nothing
// could be decided.
func (d *Door) TellUndecided(ctx context.Context) {
	d.tellRefused(ctx, func(r refusal) bool { return r.undecided })
}
