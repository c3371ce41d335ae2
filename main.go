// Command opendatahub deploys AI platforms on Kubernetes and OpenShift.
package main

import (
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/jupyterhub"
	"opendatahub.io/operator/components/kafka"
)

// version is set by the build.
var version = "dev"

// all is what a platform can consist of.
func all() []components.Component {
	return []components.Component{
		kafka.New(),
		jupyterhub.New(),
	}
}

func main() {
	if err := cmd.New(version, all()).ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "Error: "+err.Error())
		os.Exit(1)
	}
}
