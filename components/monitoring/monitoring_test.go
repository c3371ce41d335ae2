package monitoring_test

import (
	"testing"

	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/components/monitoring"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, monitoring.New()) }

// The Gateway API is no operator, so its definitions are not among those of the operators.
func TestUpstream(t *testing.T) { componenttest.Upstream(t, monitoring.New(), kinds.HTTPRoute) }

func TestHealth(t *testing.T) { componenttest.Health(t, monitoring.New()) }
