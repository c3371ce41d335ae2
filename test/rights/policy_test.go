// Package rights tries what nobody may do, and what the operator must be able to do, against the admission policies that are shipped.
// It compiles and evaluates their expressions as an API server does.
package rights

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"opendatahub.io/operator/controllers/authority"
	"opendatahub.io/operator/test/cluster"
)

const policies = "../../config/admission"

// policy is one ValidatingAdmissionPolicy, compiled.
type policy struct {
	spec        admissionregistrationv1.ValidatingAdmissionPolicySpec
	conditions  plugincel.ConditionEvaluator
	validations plugincel.ConditionEvaluator
}

func load(t *testing.T) map[string]policy {
	t.Helper()
	files, err := filepath.Glob(policies + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, "\n---\n"...), content...)
	}
	loaded := map[string]policy{}
	bound := map[string]bool{}
	for object, err := range cluster.Objects(bytes.NewReader(all)) {
		if err != nil {
			t.Fatal(err)
		}
		switch object.GetKind() {
		case "ValidatingAdmissionPolicy":
			var read admissionregistrationv1.ValidatingAdmissionPolicy
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &read, true); err != nil {
				t.Fatal(err)
			}
			loaded[read.Name] = compile(t, read.Spec)
		case "ValidatingAdmissionPolicyBinding":
			name, _, _ := unstructured.NestedString(object.Object, "spec", "policyName")
			actions, _, _ := unstructured.NestedStringSlice(object.Object, "spec", "validationActions")
			bound[name] = len(actions) == 1 && actions[0] == "Deny"
		}
	}
	for name := range loaded {
		if !bound[name] {
			t.Errorf("nothing binds the policy %s to deny", name)
		}
	}
	if names := slices.Sorted(maps.Keys(loaded)); !slices.Equal(names, authority.Policies) {
		t.Errorf("the policies are %v, and the manager looks whether %v are in force", names, authority.Policies)
	}
	return loaded
}

func compile(t *testing.T, spec admissionregistrationv1.ValidatingAdmissionPolicySpec) policy {
	t.Helper()
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	options := plugincel.OptionalVariableDeclarations{HasAuthorizer: true, HasParams: spec.ParamKind != nil}
	for _, variable := range spec.Variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: variable.Name, Expression: variable.Expression}, options, environment.StoredExpressions)
		if result.Error != nil {
			t.Fatalf("variable %s: %v", variable.Name, result.Error)
		}
	}
	var conditions, validations []plugincel.ExpressionAccessor
	for _, condition := range spec.MatchConditions {
		conditions = append(conditions, &matchconditions.MatchCondition{Name: condition.Name, Expression: condition.Expression})
	}
	for _, validation := range spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: validation.Expression, Message: validation.Message, Reason: validation.Reason})
	}
	p := policy{
		spec:        spec,
		conditions:  compiler.CompileCondition(conditions, options, environment.StoredExpressions),
		validations: compiler.CompileCondition(validations, options, environment.StoredExpressions),
	}
	if errs := errors.Join(append(p.conditions.CompilationErrors(), p.validations.CompilationErrors()...)...); errs != nil {
		t.Fatal(errs)
	}
	return p
}

// attempt is a request that somebody sends.
type attempt struct {
	user        string
	operation   admission.Operation
	resource    string // plural
	subresource string
	object, old *unstructured.Unstructured
	// params is what the binding of the policy selects in the namespace.
	params *unstructured.Unstructured
	// marks are labels of the namespace.
	marks map[string]string
}

// refusals are the messages with which the policy refuses a request.
func (p policy) refusals(t *testing.T, a attempt) []string {
	t.Helper()
	target := a.object
	if target == nil {
		target = a.old
	}
	gvk := target.GroupVersionKind()
	gvr := schema.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: a.resource}
	var object, old runtime.Object
	if a.object != nil {
		object = a.object
	}
	if a.old != nil {
		old = a.old
	}
	attributes := admission.NewAttributesRecord(object, old, gvk, target.GetNamespace(), target.GetName(), gvr, a.subresource, a.operation,
		nil, false, &user.DefaultInfo{Name: a.user})
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedObject: admission.NewLazyObject(object), VersionedOldObject: admission.NewLazyObject(old), VersionedKind: gvk}
	request := plugincel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(gvr), metav1.GroupVersionKind(gvk))
	namespace := plugincel.CreateNamespaceObject(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: target.GetNamespace(), Labels: a.marks}})
	var bindings plugincel.OptionalVariableBindings
	if a.params != nil {
		bindings.VersionedParams = a.params
	}
	evaluate := func(evaluator plugincel.ConditionEvaluator) []bool {
		results, _, err := evaluator.ForInput(context.Background(), versioned, request, bindings, namespace, celconfig.RuntimeCELCostBudget)
		if err != nil {
			t.Fatal(err)
		}
		var holds []bool
		for _, result := range results {
			if result.Error != nil {
				t.Fatalf("%s %s: %s: %v", a.operation, target.GetName(), result.ExpressionAccessor.GetExpression(), result.Error)
			}
			holds = append(holds, result.EvalResult.Value() == true)
		}
		return holds
	}
	for _, matches := range evaluate(p.conditions) {
		if !matches {
			return nil
		}
	}
	var messages []string
	for i, holds := range evaluate(p.validations) {
		if !holds {
			messages = append(messages, p.spec.Validations[i].Message)
		}
	}
	return messages
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// plural guesses a resource, which policies name for native kinds only.
func plural(u *unstructured.Unstructured) string {
	resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	return resource.Resource
}
