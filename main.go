// Command opendatahub deploys AI platforms on Kubernetes and OpenShift.
package main

import (
	"fmt"
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // the image has no other certificates of public authorities
	ctrl "sigs.k8s.io/controller-runtime"

	"opendatahub.io/operator/cmd"
	"opendatahub.io/operator/components/catalog"
)

// version is set by the build.
var version = "dev"

// main runs the commands of cmd on the components of the catalog.
func main() {
	root := cmd.CalledAs(cmd.New(version, catalog.All()), os.Args)
	code, message := cmd.Exit(root.ExecuteContext(ctrl.SetupSignalHandler()))
	if message != "" {
		fmt.Fprintln(os.Stderr, message)
	}
	os.Exit(code)
}
