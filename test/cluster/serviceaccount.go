package cluster

import (
	"context"
	"fmt"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// A day outlives every test and every afternoon at a local cluster.
const tokenSeconds = 24 * 60 * 60

// ServiceAccountConfig returns a client configuration with a token of a ServiceAccount, and so with exactly its
// permissions. The ServiceAccount must exist.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := c.token(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = token
	config.QPS = -1
	return config, nil
}

// WriteServiceAccountKubeconfig writes a kubeconfig file with a token of a ServiceAccount, for programs that take a file. Its
// default namespace is that of the ServiceAccount.
func (c *Cluster) WriteServiceAccountKubeconfig(ctx context.Context, namespace, name, path string) error {
	token, err := c.token(ctx, namespace, name)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return fmt.Errorf("reading the certificate authority: %w", err)
	}
	if err := c.writeKubeconfig(path, name, ca, &clientcmdapi.AuthInfo{Token: token}, namespace, c.state.Port); err != nil {
		return fmt.Errorf("writing the kubeconfig of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return nil
}

func (c *Cluster) token(ctx context.Context, namespace, name string) (string, error) {
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	request, err := c.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return request.Status.Token, nil
}
