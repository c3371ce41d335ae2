package jupyterhub

import (
	"testing"

	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, New()) }

// The Gateway API is no operator, so its definitions are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, New()) }
