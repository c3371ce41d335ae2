package kafka_test

import (
	"testing"

	"opendatahub.io/operator/components/componenttest"
	"opendatahub.io/operator/components/kafka"
)

func TestGolden(t *testing.T) { componenttest.Golden(t, kafka.New()) }

func TestUpstream(t *testing.T) { componenttest.Upstream(t, kafka.New()) }

func TestHealth(t *testing.T) { componenttest.Health(t, kafka.New()) }
