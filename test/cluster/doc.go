// Package cluster runs a whole Kubernetes control plane on the loopback interface: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, and KWOK, which plays the nodes and, with its Stages, the operators
// of other projects. Strimzi is played by a program, see package strimzi. Nothing is downloaded but Go modules,
// and nothing needs a container runtime.
//
// Tests use [Start] and [Cluster.Stop]; people use the command in hack/cluster, which is a thin layer on [Up] and [Down].
//
// What is real: the API server with its admission and RBAC, every controller of the controller manager, and the scheduler.
// What is played: Pods turn Running without running anything, volumes are bound without holding anything, and
// third-party resources turn Ready as the Stages of their components say (testdata/stages), or as Strimzi would.
package cluster
