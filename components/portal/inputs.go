package portal

import (
	"cmp"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/native"
)

// Ports of the server: that of the page on the loopback of its Pod, and that for the kubelet, which says only that it is alive.
const (
	port      = 8000
	probePort = 8081
)

// inputs is everything that the objects are made of: defaults filled in, contradictions refused.
type inputs struct {
	native.App
	proxy native.LoginProxy

	image     string
	replicas  int32
	resources v1alpha1.Resources
	// guides by the names of their files.
	guides map[string]string
}

var (
	serverResources = native.Resources("10m", "32Mi", "", "128Mi")
	proxyResources  = native.Resources("10m", "32Mi", "", "256Mi")
)

func specOf(facts components.Facts) v1alpha1.PortalSpec {
	if facts.Spec.Components.Portal == nil {
		return v1alpha1.PortalSpec{}
	}
	return *facts.Spec.Components.Portal
}

func newProxy(facts components.Facts) (native.App, native.LoginProxy, error) {
	app := native.NewApp(facts, name)
	proxy, err := native.NewLoginProxy(app, facts, native.WebInterface{Part: part, Title: "Open Data Hub", Port: port, PassToken: true})
	return app, proxy, err
}

func newInputs(facts components.Facts) (inputs, error) {
	spec := specOf(facts)
	replicas := int32(1)
	if facts.Spec.Profile == v1alpha1.ProfileHighAvailability {
		replicas = 2
	}
	in := inputs{
		image:     native.OperatorImage(facts),
		replicas:  cmp.Or(spec.Replicas, replicas),
		resources: native.Fill(spec.Resources, serverResources),
		guides:    map[string]string{},
	}
	for _, guide := range facts.Declared.Guides {
		in.guides[guide.Component+".yaml"] = string(guide.Content)
	}
	var err error
	in.App, in.proxy, err = newProxy(facts)
	return in, err
}
