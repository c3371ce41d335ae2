//go:build !linux

package node

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/test/cluster"
)

// Missing lists what the machine lacks for a real node.
func Missing() []Requirement { return []Requirement{{What: "Linux"}} }

// Up needs Linux.
func Up(context.Context, Options) (c *cluster.Cluster, existed bool, err error) {
	return nil, false, errors.New(Explain(Missing()))
}

// Forward needs Linux.
func Forward(context.Context, *cluster.Cluster, client.ObjectKey, int) (int, error) {
	return 0, errors.New(Explain(Missing()))
}

// DeployServices needs Linux.
func DeployServices(context.Context, *cluster.Cluster, *v1alpha1.OpenDataHub) error {
	return errors.New(Explain(Missing()))
}

// DeployArgoKinds needs Linux.
func DeployArgoKinds(context.Context, *cluster.Cluster) error {
	return errors.New(Explain(Missing()))
}

// DeploySeldon needs Linux.
func DeploySeldon(context.Context, *cluster.Cluster) error {
	return errors.New(Explain(Missing()))
}

// RotateS3Key needs Linux.
func RotateS3Key(context.Context, *cluster.Cluster, string) error {
	return errors.New(Explain(Missing()))
}
