// Command opendatahub deploys AI platforms on Kubernetes and OpenShift.
package main

import (
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/ceph"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kafka"
	"opendatahub.io/operator/components/objectstorage"
)

// version is set by the build.
var version = "dev"

// all is what a platform can consist of.
func all() []components.Component {
	return []components.Component{
		ceph.New(),
		kafka.New(),
		jupyterhub.New(),
		objectstorage.New(),
	}
}

func main() {
	if err := cmd.New(version, all()).ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "Error: "+err.Error())
		os.Exit(1)
	}
}
