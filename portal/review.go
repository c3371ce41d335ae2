package portal

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"opendatahub.io/operator/api/v1alpha1"
)

// NewReviewer asks the API server with the visitor's own token, which OpenShift gives the login proxy for such questions: the scope
// user:check-access.
func NewReviewer(config *rest.Config, platform client.ObjectKey) Reviewer {
	return func(ctx context.Context, token string) (bool, error) {
		own := rest.AnonymousClientConfig(config)
		own.BearerToken = token
		clients, err := authorization.NewForConfig(own)
		if err != nil {
			return false, err
		}
		review, err := clients.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: v1alpha1.GroupVersion.Group, Resource: "opendatahubs", Verb: "get", Namespace: platform.Namespace, Name: platform.Name,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return review.Status.Allowed, nil
	}
}
