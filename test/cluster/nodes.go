package cluster

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	nodeAnnotation      = "kwok.x-k8s.io/node"
	nodeAnnotationValue = "fake"
)

var zones = []string{"a", "b", "c"}

// createNodes registers the nodes as a kubelet would: with what they have. KWOK makes them Ready.
func (c *Cluster) createNodes(ctx context.Context) error {
	version, err := c.kube.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking for the version of the API server: %w", err)
	}
	for i := range c.opts.Nodes {
		n := node(i, version.GitVersion)
		if _, err := c.kube.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating node %s: %w", n.Name, err)
		}
	}
	return nil
}

func node(index int, version string) *corev1.Node {
	name := fmt.Sprintf("node-%d", index+1)
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("200Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				corev1.LabelHostname:             name,
				corev1.LabelOSStable:             "linux",
				corev1.LabelArchStable:           "amd64",
				corev1.LabelTopologyZone:         zones[index%len(zones)],
				corev1.LabelTopologyRegion:       "local",
				"node-role.kubernetes.io/worker": "",
			},
			Annotations: map[string]string{nodeAnnotation: nodeAnnotationValue},
		},
		Status: corev1.NodeStatus{
			Capacity:    resources,
			Allocatable: resources,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", index/250, index%250+1)},
				{Type: corev1.NodeHostName, Address: name},
			},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: version, ContainerRuntimeVersion: "kwok://", OSImage: "kwok",
				OperatingSystem: "linux", Architecture: "amd64",
			},
		},
	}
}

// nodesReady is nil when Pods can be scheduled to every node: a Ready node keeps its taint until a controller has seen it.
func (c *Cluster) nodesReady(ctx context.Context) error {
	nodes, err := c.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(nodes.Items) < c.opts.Nodes {
		return fmt.Errorf("%d of %d nodes are there", len(nodes.Items), c.opts.Nodes)
	}
	var errs []error
	for _, n := range nodes.Items {
		ready := false
		for _, condition := range n.Status.Conditions {
			ready = ready || condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
		}
		switch {
		case !ready:
			errs = append(errs, fmt.Errorf("node %s is not Ready", n.Name))
		case len(n.Spec.Taints) > 0:
			errs = append(errs, fmt.Errorf("node %s still has the taint %s", n.Name, n.Spec.Taints[0].Key))
		}
	}
	return errors.Join(errs...)
}

// defaultServiceAccountReady is nil when Pods can be created in the default namespace, which needs the controller manager.
func (c *Cluster) defaultServiceAccountReady(ctx context.Context) error {
	_, err := c.kube.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
