package node

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/s3"
	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// DeployS3 deploys an object storage with these buckets, and gives a namespace the Secret with its key. Both stay as long as the cluster.
func DeployS3(ctx context.Context, c *cluster.Cluster, namespace string, buckets ...string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	values := map[string]any{"Namespace": s3Namespace, "Image": images.S3Name, "ShellImage": images.ShellName, "Buckets": buckets}
	if err := apply(ctx, kube, "s3", values); err != nil {
		return err
	}
	// The server and clients call the two parts of its key by different names.
	own := &corev1.Secret{}
	err = kube.Get(ctx, client.ObjectKey{Namespace: s3Namespace, Name: S3Secret}, own)
	if apierrors.IsNotFound(err) {
		own = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s3Namespace, Name: S3Secret},
			Data:       map[string][]byte{"ROOT_ACCESS_KEY": []byte(rand.Text()[:20]), "ROOT_SECRET_KEY": []byte(rand.Text())},
		}
		err = kube.Create(ctx, own)
	}
	if err != nil {
		return fmt.Errorf("making the key of the object storage: %w", err)
	}
	secret := corev1ac.Secret(S3Secret, namespace).
		WithAnnotations(map[string]string{components.AnnotationAllowAddresses: S3Endpoint}).
		WithLabels(map[string]string{components.LabelAllowNotebooks: "true"}).
		WithData(map[string][]byte{s3.AccessKey: own.Data["ROOT_ACCESS_KEY"], s3.SecretKey: own.Data["ROOT_SECRET_KEY"]})
	if err := kube.Apply(ctx, secret, client.FieldOwner("opendatahub-node"), client.ForceOwnership); err != nil {
		return fmt.Errorf("giving namespace %s the key of the object storage: %w", namespace, err)
	}
	return waitAvailable(ctx, c.Kubeconfig(), s3Namespace)
}
