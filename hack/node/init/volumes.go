//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	provisioner    = "local.opendatahub.io"
	provisionedBy  = "pv.kubernetes.io/provisioned-by"
	provisionerKey = "volume.kubernetes.io/storage-provisioner"
	selectedNode   = "volume.kubernetes.io/selected-node"
)

// volumes provisions claims on this node: a file of the claimed size with a file system, mounted through a loop device, so that a
// volume can be full. As a `local` volume it belongs to its node, and to the group that its Pod asks for.
func volumes(ctx context.Context, folder, kubeconfig, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // several claims at once must not wait for each other
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	p := provision{kube: kube, folder: folder, node: node}
	changed := make(chan struct{}, 1)
	wake := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	factory := informers.NewSharedInformerFactory(kube, 30*time.Second)
	handler := cache.ResourceEventHandlerFuncs{AddFunc: wake, UpdateFunc: func(_, current any) { wake(current) }, DeleteFunc: wake}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().PersistentVolumeClaims().Informer(), factory.Core().V1().PersistentVolumes().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			if err := p.all(ctx); err != nil {
				log.Print(err) // the informers wake it again within 30 seconds
			}
		}
	}
}

type provision struct {
	kube         kubernetes.Interface
	folder, node string
}

// all looks at every claim and every volume.
func (p provision) all(ctx context.Context) error {
	claims, err := p.kube.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for i := range claims.Items {
		claim := &claims.Items[i]
		switch {
		case claim.DeletionTimestamp != nil || claim.Annotations[provisionerKey] != provisioner:
		case claim.Spec.VolumeName == "" && claim.Annotations[selectedNode] == p.node:
			errs = append(errs, p.create(ctx, claim))
		case claim.Status.Phase == corev1.ClaimBound:
			errs = append(errs, p.grow(ctx, claim))
		}
	}
	existing, err := p.kube.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for i := range existing.Items {
		volume := &existing.Items[i]
		if volume.Annotations[provisionedBy] == provisioner && volume.Status.Phase == corev1.VolumeReleased &&
			volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			errs = append(errs, p.remove(ctx, volume.Name))
		}
	}
	return errors.Join(errs...)
}

func (p provision) file(name string) string    { return filepath.Join(p.folder, name+".ext4") }
func (p provision) mounted(name string) string { return filepath.Join(p.folder, name) }

func (p provision) create(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if _, err := p.kube.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{}); err == nil {
		return nil // it waits to be bound
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	if _, err := os.Stat(p.file(name)); errors.Is(err, fs.ErrNotExist) {
		temporary := p.file(name) + ".tmp"
		if err := execute("truncate", "--size", fmt.Sprint(size.Value()), temporary); err != nil {
			return err
		}
		// No reserve for root: a full volume is full for everybody.
		if err := execute("mkfs.ext4", "-q", "-F", "-m", "0", temporary); err != nil {
			return err
		}
		if err := os.Rename(temporary, p.file(name)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.mounted(name), 0o755); err != nil {
		return err
	}
	if !isMounted(p.mounted(name)) {
		if err := execute("mount", "-o", "loop", p.file(name), p.mounted(name)); err != nil {
			return err
		}
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: size},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			VolumeMode:                    claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: p.mounted(name)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node},
				}},
			}}}},
		},
	}
	if _, err := p.kube.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	log.Printf("created volume %s of %s for %s/%s", name, size.String(), claim.Namespace, claim.Name)
	return nil
}

// grow makes the volume as large as the claim asks for, while it is in use.
func (p provision) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if has := claim.Status.Capacity[corev1.ResourceStorage]; has.Cmp(size) >= 0 {
		return nil
	}
	name := claim.Spec.VolumeName
	if err := execute("truncate", "--size", fmt.Sprint(size.Value()), p.file(name)); err != nil {
		return err
	}
	device, err := exec.CommandContext(ctx, "findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", p.mounted(name)).Output()
	if err != nil {
		return fmt.Errorf("finding the device of %s: %w", name, err)
	}
	for _, command := range [][]string{{"losetup", "--set-capacity"}, {"resize2fs"}} {
		if err := execute(command[0], append(command[1:], strings.TrimSpace(string(device)))...); err != nil {
			return err
		}
	}
	volume, err := p.kube.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	volume.Spec.Capacity[corev1.ResourceStorage] = size
	if _, err := p.kube.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err != nil {
		return err
	}
	claim.Status.Capacity[corev1.ResourceStorage] = size
	_, err = p.kube.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	return err
}

func (p provision) remove(ctx context.Context, name string) error {
	if isMounted(p.mounted(name)) {
		if err := execute("umount", p.mounted(name)); err != nil {
			return err
		}
	}
	for _, path := range []string{p.mounted(name), p.file(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	log.Printf("removed volume %s", name)
	err := p.kube.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// isMounted is whether another file system than its parent's is there.
func isMounted(path string) bool {
	var here, above syscall.Stat_t
	return syscall.Stat(path, &here) == nil && syscall.Stat(filepath.Dir(path), &above) == nil && here.Dev != above.Dev
}

func execute(name string, args ...string) error {
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, output)
	}
	return nil
}
