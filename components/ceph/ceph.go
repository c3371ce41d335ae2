// Package ceph deploys a Ceph cluster through the Rook operator: block and file storage with StorageClasses, an S3 service
// and the platform's buckets.
package ceph

import (
	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
)

const name = "ceph"

type component struct{}

// New returns the component, with the abilities below.
func New() components.Component { return component{} }

var (
	_ components.WithUses         = component{}
	_ components.WithReferences   = component{}
	_ components.WithGrants       = component{}
	_ components.WithDeclarations = component{}
	_ components.WithPodSecurity  = component{}
	_ components.WithReach        = component{}
)

// Name implements components.Component.
func (component) Name() string { return name }

// Images implements components.WithImages.
func (component) Images() map[string]string { return map[string]string{"CEPH": image + testedVersion} }

// Kinds implements components.Component. Removal goes backwards: claims and users first, because the gateways serve their
// finalizers and claims need their StorageClass; then stores, file systems and pools; the cluster last, because it may
// hold the confirmation that its data may go, see confirmed.
func (component) Kinds() []kinds.Kind {
	return []kinds.Kind{
		Cluster, kinds.Secret, kinds.StorageClass, BlockPool, Filesystem,
		ObjectStore, ObjectStoreUser, BucketClaim,
	}
}

// PodSecurity implements components.WithPodSecurity. Monitors and others keep files on their node besides their volumes, and
// daemons that store data are privileged
// (https://github.com/rook/rook/blob/v1.20.6/pkg/operator/ceph/cluster/osd/spec.go). A Ceph that runs elsewhere has no Pods.
func (component) PodSecurity(facts components.Facts) (components.PodSecurityLevel, string) {
	if specOf(facts).External {
		return components.PodSecurityRestricted, ""
	}
	return components.PodSecurityPrivileged, "Ceph's daemons use devices and paths of the host"
}

// Reach implements components.WithReach. On volumes of a StorageClass Ceph uses nothing that the namespace may not use anyway. On
// OpenShift the ServiceAccounts of Rook may run privileged Pods, and whoever makes Pods in the namespace may use them.
func (component) Reach(facts components.Facts) []components.Reach {
	spec := specOf(facts)
	if spec.External {
		return nil
	}
	var reach []components.Reach
	ask := func(part, what string) {
		reach = append(reach, components.Reach{Mark: components.LabelAllowNodes, Field: field + part, What: what})
	}
	if kind := spec.Devices.Type; kind != "" && kind != v1alpha1.CephDevicesVolumeClaims {
		ask(".devices", "devices of nodes")
	}
	for _, chosen := range []struct {
		part      string
		placement v1alpha1.Placement
	}{
		{".placement", spec.Placement}, {".monitors.placement", spec.Monitors.Placement}, {".fileSystem.placement", spec.FileSystem.Placement},
		{".objectStore.placement", spec.ObjectStore.Placement},
	} {
		if placementOf(chosen.placement) != nil {
			ask(chosen.part, "nodes of its choice for privileged Pods")
		}
	}
	if facts.Cluster.OpenShift && len(reach) == 0 {
		ask("", "ServiceAccounts that may run privileged Pods")
	}
	return reach
}

// References implements components.WithReferences.
func (component) References(facts components.Facts) []components.Reference {
	spec := specOf(facts)
	var all []components.Reference
	if secret := spec.ObjectStore.TLSSecretRef.Name; secret != "" {
		all = append(all, components.Reference{
			Field: field + ".objectStore.tlsSecretRef", Name: secret, Keys: []string{"tls.crt", "tls.key"},
		})
	}
	vault := spec.ObjectStore.Encryption.Vault
	if vault == nil {
		return all
	}
	all = append(all, components.Reference{
		Field: field + ".objectStore.encryption.vault.tokenSecretRef", Name: vault.TokenSecretRef.Name, Keys: []string{"token"},
		SentTo: []string{vault.Address},
	})
	if secret := vault.CASecretRef.Name; secret != "" {
		all = append(all, components.Reference{
			Field: field + ".objectStore.encryption.vault.caSecretRef", Name: secret, Keys: []string{"cert"},
		})
	}
	return all
}

// Render implements components.Component.
func (component) Render(facts components.Facts) ([]components.Object, error) {
	in, err := newInputs(facts)
	if err != nil {
		return nil, err
	}
	var objects []components.Object
	if in.certificate != nil {
		objects = append(objects, certificate(in))
	}
	objects = append(objects, cluster(in))
	if in.managers {
		objects = append(objects, managerPool(in))
	}
	if in.block {
		objects = append(objects, blockPool(in))
	}
	if in.files {
		objects = append(objects, fileSystem(in))
	}
	if in.objects {
		objects = append(objects, objectStore(in), administrator(in))
	}
	for _, class := range in.classes {
		objects = append(objects, storageClass(in, class))
	}
	for _, bucket := range in.buckets {
		objects = append(objects, bucketClaim(in, bucket))
	}
	return objects, nil
}

// annotationDestroy remembers on the CephCluster that the spec confirmed the loss of its data.
const annotationDestroy = "opendatahub.io/destroy-data"

// Names that Rook gives, https://rook.io/docs/rook/latest/Storage-Configuration/Monitoring/ceph-dashboard/.
const (
	dashboardService = "rook-ceph-mgr-dashboard"
	dashboardSecret  = "rook-ceph-dashboard-password"
	dashboardPort    = "8443"
)

// There is one CephCluster to a namespace, as there is one platform.
func clusterName(platform components.Platform) string { return platform.Name }

func adminName(platform components.Platform) string { return platform.Name + "-ceph-admin" }

// adminSecret is the Secret that Rook makes for the administrator.
func adminSecret(platform components.Platform) string {
	return "rook-ceph-object-user-" + storeName(platform) + "-" + adminName(platform)
}
