package node

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/util/cert"
	podsecurity "k8s.io/pod-security-admission/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/postgresql"
	"opendatahub.io/operator/hack/images"
	"opendatahub.io/operator/test/cluster"
)

// deployPostgreSQL deploys a PostgreSQL with these databases, and gives a namespace the Secrets with its login and its certificate
// authority. All stays as long as the cluster.
func deployPostgreSQL(ctx context.Context, c *cluster.Cluster, namespace string, databases ...string) error {
	kube, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return err
	}
	owner := client.FieldOwner("opendatahub-node")
	restricted := corev1ac.Namespace(postgresNamespace).WithLabels(map[string]string{podsecurity.EnforceLevelLabel: string(podsecurity.LevelRestricted)})
	if err := kube.Apply(ctx, restricted, owner, client.ForceOwnership); err != nil {
		return fmt.Errorf("making the namespace of PostgreSQL: %w", err)
	}
	own, err := postgresServer(ctx, kube)
	if err != nil {
		return fmt.Errorf("making the login of PostgreSQL: %w", err)
	}
	values := map[string]any{"Namespace": postgresNamespace, "Image": images.PostgresName, "Secret": own.Name, "Databases": databases}
	if err := apply(ctx, kube, "postgres", values); err != nil {
		return err
	}
	login := corev1ac.Secret(PostgresSecret, namespace).
		WithAnnotations(map[string]string{components.AnnotationAllowAddresses: "postgresql://" + postgresHost + ":5432"}).
		WithData(map[string][]byte{
			postgresql.UsernameKey: own.Data[postgresql.UsernameKey], postgresql.PasswordKey: own.Data[postgresql.PasswordKey],
		})
	authority := corev1ac.Secret(PostgresCASecret, namespace).WithData(map[string][]byte{postgresql.CAKey: own.Data[postgresql.CAKey]})
	for _, secret := range []*corev1ac.SecretApplyConfiguration{login, authority} {
		if err := kube.Apply(ctx, secret, owner, client.ForceOwnership); err != nil {
			return fmt.Errorf("giving namespace %s the login of PostgreSQL: %w", namespace, err)
		}
	}
	return waitAvailable(ctx, c.Kubeconfig(), postgresNamespace)
}

// postgresServer is the Secret with what the server itself needs.
func postgresServer(ctx context.Context, kube client.Client) (*corev1.Secret, error) {
	own := &corev1.Secret{}
	err := kube.Get(ctx, client.ObjectKey{Namespace: postgresNamespace, Name: "server"}, own)
	if !apierrors.IsNotFound(err) {
		return own, err
	}
	// The certificate is followed by that of its authority.
	chain, key, err := cert.GenerateSelfSignedCertKey(postgresHost, nil, nil)
	if err != nil {
		return nil, err
	}
	_, rest := pem.Decode(chain)
	if authority, _ := pem.Decode(rest); authority == nil {
		return nil, errors.New("the certificate has no authority")
	}
	own = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: postgresNamespace, Name: "server"},
		Data: map[string][]byte{
			postgresql.UsernameKey: []byte("platform"), postgresql.PasswordKey: []byte(rand.Text()), postgresql.CAKey: rest,
			corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key,
		},
	}
	return own, kube.Create(ctx, own)
}
