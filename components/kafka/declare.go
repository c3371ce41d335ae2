package kafka

import "opendatahub.io/operator/components"

// Declare implements components.WithDeclarations: notebooks reach the brokers, at the listener that takes TLS and a login.
func (component) Declare(facts components.Facts) components.Declarations {
	return components.Declarations{Notebooks: components.Notebooks{
		Backends: []components.Backend{{Pods: facts.Labels(name), Port: listenerInternalPort}},
	}}
}
