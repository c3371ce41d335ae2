// Package crd holds the generated CustomResourceDefinition, for the parts of the binary that work without a cluster.
package crd

import _ "embed"

// OpenDataHub is the CustomResourceDefinition of the OpenDataHub resource, as YAML.
//
//go:embed opendatahub.io_opendatahubs.yaml
var OpenDataHub []byte
