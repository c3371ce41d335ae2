// Package argo runs the real controller and server of Argo Workflows, as a platform deploys them, under their own accounts on a local cluster.
package argo
