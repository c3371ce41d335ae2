package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	core "k8s.io/client-go/applyconfigurations/core/v1"

	"opendatahub.io/operator/api/v1alpha1"
	"opendatahub.io/operator/components"
	"opendatahub.io/operator/components/kinds"
	"opendatahub.io/operator/test/cluster/standin"
)

// optional stands for a component with an object of a kind that it can do without. The API has no component of that name: a rule wants
// it on platforms whose namespace begins with "optional", so that its condition exists only while something is wrong.
type optional struct{}

const (
	optionalCondition = "ExampleOptionalReady"
	optionalNamespace = "optional"
)

var _ components.WithRule = optional{}

func (optional) Wanted(facts components.Facts) bool {
	return strings.HasPrefix(facts.Platform.Namespace, optionalNamespace)
}

func (optional) Name() string        { return "exampleOptional" }
func (optional) Kinds() []kinds.Kind { return []kinds.Kind{kinds.ConfigMap, kinds.HTTPRoute} }

func (optional) Uses() []components.Use {
	return []components.Use{{Kind: kinds.HTTPRoute, Optional: true}}
}

func (optional) Render(facts components.Facts) ([]components.Object, error) {
	name := facts.Platform.Name + "-optional"
	return []components.Object{
		components.Owned(core.ConfigMap(name, facts.Platform.Namespace)),
		components.Owned(kinds.New(kinds.HTTPRoute.GVK(), "", name, map[string]any{})),
	}, nil
}

func (optional) Assess(observed components.Observed) components.Health {
	state := components.Health{State: components.Ready}
	if len(observed.Live) < len(observed.Rendered) {
		state.State = components.Progressing
	}
	return state
}

var _ = Describe("A kind that is optional", Serial, func() {
	It("is done without, and noticed when it comes", func(ctx context.Context) {
		manager := start(ctx)
		ns := namespace(ctx, optionalNamespace)
		hub := platform(ctx, ns, "odh", "profile: Development")
		ready(ctx, hub)
		Expect(status(hub, v1alpha1.ConditionDependenciesReady)(ctx)).To(HavePrefix("True NotNeeded"))

		Expect(env.InstallCRDObjects(ctx, standin.CRDs(standin.Kind{
			Group: kinds.HTTPRoute.Group, Versions: kinds.HTTPRoute.Versions, Kind: kinds.HTTPRoute.Kind, Plural: kinds.HTTPRoute.Plural,
		})...)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(env.RemoveCRDs(ctx, kinds.HTTPRoute.CRD())).To(Succeed()) })
		Eventually(ctx, func(ctx context.Context) bool { return children(ctx, ns)["HTTPRoute/odh-optional"] != nil }).Should(BeTrue())
		ready(ctx, hub)

		By("taking it away again")
		Expect(env.RemoveCRDs(ctx, kinds.HTTPRoute.CRD())).To(Succeed())
		quiet(ctx, manager)
		ready(ctx, hub)
		Expect(status(hub, optionalCondition)(ctx)).To(Equal("absent"))
	})
})
