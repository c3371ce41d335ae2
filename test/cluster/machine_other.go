//go:build unix && !linux

package cluster

import "context"

// end has nothing to do: a machine needs Linux.
func (*Machine) end(context.Context, string) error { return nil }
