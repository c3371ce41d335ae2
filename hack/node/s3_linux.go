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

// deployS3 deploys an object storage with these buckets, and gives a namespace the Secret with its key. Both stay as long as the cluster.
func deployS3(ctx context.Context, c *cluster.Cluster, namespace string, buckets ...string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	values := map[string]any{"Namespace": s3Namespace, "Image": images.S3Name, "ShellImage": images.ShellName, "Buckets": buckets}
	if err := apply(ctx, kube, "s3", values); err != nil {
		return err
	}
	own := &corev1.Secret{}
	err = kube.Get(ctx, client.ObjectKey{Namespace: s3Namespace, Name: S3Secret}, own)
	if apierrors.IsNotFound(err) {
		own = s3Key()
		err = kube.Create(ctx, own)
	}
	if err != nil {
		return fmt.Errorf("making the key of the object storage: %w", err)
	}
	if err := giveS3Key(ctx, kube, namespace, own); err != nil {
		return err
	}
	return waitAvailable(ctx, c.Kubeconfig(), s3Namespace)
}

// RotateS3Key gives the object storage another key, and the namespace with it. The server is started again.
func RotateS3Key(ctx context.Context, c *cluster.Cluster, namespace string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	own := s3Key()
	if err := kube.Update(ctx, own); err != nil {
		return fmt.Errorf("replacing the key of the object storage: %w", err)
	}
	if err := kube.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s3Namespace)); err != nil {
		return fmt.Errorf("starting the object storage again: %w", err)
	}
	if err := giveS3Key(ctx, kube, namespace, own); err != nil {
		return err
	}
	return waitAvailable(ctx, c.Kubeconfig(), s3Namespace)
}

// s3Key is a new Secret for the server.
func s3Key() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s3Namespace, Name: S3Secret},
		Data:       map[string][]byte{"ROOT_ACCESS_KEY": []byte(rand.Text()[:20]), "ROOT_SECRET_KEY": []byte(rand.Text())},
	}
}

// giveS3Key gives clients the key. They call its two parts by other names than the server.
func giveS3Key(ctx context.Context, kube client.Client, namespace string, own *corev1.Secret) error {
	secret := corev1ac.Secret(S3Secret, namespace).
		WithAnnotations(map[string]string{components.AnnotationAllowAddresses: s3Endpoint}).
		WithLabels(map[string]string{components.LabelAllowNotebooks: "true"}).
		WithData(map[string][]byte{s3.AccessKey: own.Data["ROOT_ACCESS_KEY"], s3.SecretKey: own.Data["ROOT_SECRET_KEY"]})
	if err := kube.Apply(ctx, secret, client.FieldOwner("opendatahub-node"), client.ForceOwnership); err != nil {
		return fmt.Errorf("giving namespace %s the key of the object storage: %w", namespace, err)
	}
	return nil
}
