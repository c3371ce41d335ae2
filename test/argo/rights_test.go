package argo

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"opendatahub.io/operator/test/rights/audit"
)

// parts are those whose accounts have rights.
var parts = []string{"controller", "server", "pipeline", "gc", "users"}

func user(namespace, part string) string {
	return "system:serviceaccount:" + namespace + ":odh-argoworkflows-" + part
}

// namespaces of the platforms.
var namespaces = []string{"one", "two", "three"}

// users are the accounts of the platforms.
func users() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, namespace := range namespaces {
			for _, part := range parts {
				if !yield(user(namespace, part)) {
					return
				}
			}
		}
	}
}

// expectRights expects that what Argo did is what it may, and what it may is what it did.
func expectRights() {
	GinkgoHelper()
	rules, err := audit.ReadRules("../../config/rbac/components/argoworkflows.yaml")
	Expect(err).NotTo(HaveOccurred())
	uses := audit.Uses{}
	for _, part := range parts {
		for _, namespace := range namespaces {
			role := audit.Role{Name: "opendatahub-argoworkflows-" + part, Scope: audit.Only(namespace)}
			role.Rules = rules[role.Name]
			Expect(role.Rules).NotTo(BeEmpty(), role.Name)
			granted := audit.Granted([]audit.Role{role})
			log, err := os.Open(env.AuditLog())
			Expect(err).NotTo(HaveOccurred())
			Expect(granted.Count(log, user(namespace, part), []audit.Role{role})).To(Succeed())
			Expect(log.Close()).To(Succeed())
			for right, times := range granted {
				uses[right] += times
			}
		}
	}
	Expect(strings.Join(uses.Problems(unused), "\n")).To(BeEmpty())
	Expect(refused()).To(BeEmpty(), "the rights are enough")
}

// refused are the requests of controllers and servers that they may not make. (The platform two is removed while its controller runs.)
func refused() []string {
	GinkgoHelper()
	log, err := os.Open(env.AuditLog())
	Expect(err).NotTo(HaveOccurred())
	defer log.Close() //nolint:errcheck // only read
	var requests []string
	for decoder := json.NewDecoder(log); ; {
		var event struct {
			Verb, RequestURI string
			User             struct{ Username string }
			ResponseStatus   struct{ Code int }
		}
		err := decoder.Decode(&event)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the last line may be half written
			return requests
		}
		Expect(err).NotTo(HaveOccurred())
		if event.ResponseStatus.Code == 403 && slices.ContainsFunc([]string{"one", "three"}, func(namespace string) bool {
			return event.User.Username == user(namespace, "controller") || event.User.Username == user(namespace, "server")
		}) {
			requests = append(requests, event.User.Username+" "+event.Verb+" "+event.RequestURI)
		}
	}
}

// unused are rights that no workflow here takes, with what takes them.
var unused = []audit.Exception{
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"pods/exec"}, Verbs: []string{"create"},
		Reason: "A sidecar that does not end by itself is told to: no workflow here has one.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"configmaps"}, Verbs: []string{"create", "update"},
		Reason: "Results that a template remembers are in ConfigMaps, and so are templates too large for a Pod: no workflow here has either.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"create", "get", "update", "delete"},
		Reason: "It makes the volumes of a workflow with volumeClaimTemplates, and lets go of them after it: no workflow here has any.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"serviceaccounts"}, Verbs: []string{"get"},
		Reason: "It looks for the token of an executor with an account of its own: no workflow here has one.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"pods"}, Verbs: []string{"get", "patch"}, Sometimes: true,
		Reason: "It reads a Pod that is there although it is new, and marks those that stay: here they go when they succeed.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"events"}, Verbs: []string{"patch"}, Sometimes: true,
		Reason: "An Event that repeats is counted.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"workflows.argoproj.io"}, Verbs: []string{"create"},
		Reason: "It makes the workflows of a CronWorkflow, a minute after it at the earliest.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"workflows.argoproj.io"}, Verbs: []string{"delete"},
		Reason: "It deletes workflows that ended a minute ago at the earliest.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"workflows.argoproj.io"}, Verbs: []string{"get"}, Sometimes: true,
		Reason: "It reads a workflow again that somebody else changed meanwhile.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"cronworkflows.argoproj.io"}, Verbs: []string{"patch"},
		Reason: "It writes when a CronWorkflow ran, a minute after it was made at the earliest.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"workflowtasksets.argoproj.io"}, Verbs: []string{"create", "patch"},
		Reason: "It tells an agent what to ask of web servers: no template here is of that kind.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"workflowtasksets.argoproj.io/status"}, Verbs: []string{"patch"},
		Reason: "It takes note of what an agent has done: no template here needs one.",
	},
	{
		Role: "opendatahub-argoworkflows-controller", Resources: []string{"*.argoproj.io/finalizers"}, Verbs: []string{"update"},
		Reason: "The cluster of the suite is no OpenShift.",
	},
	{
		Role: "opendatahub-argoworkflows-users", Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch", "delete"},
		Reason: "Logs are those of Pods, and a retry deletes the Pods of steps that failed: no step here has a log, and none fails.",
	},
	{
		Role: "opendatahub-argoworkflows-users", Resources: []string{"pods/log"}, Verbs: []string{"get"},
		Reason: "No step here has a log.",
	},
	{
		Role: "opendatahub-argoworkflows-users", Resources: []string{"events"}, Verbs: []string{"list", "watch"},
		Reason: "The web interface follows Events while somebody looks at them.",
	},
	{
		Role: "opendatahub-argoworkflows-users", Resources: []string{"secrets", "configmaps"}, Verbs: []string{"get"},
		Reason: "Artifacts are fetched with the credentials that the workflow names: there is no object storage here.",
	},
	{
		Role: "opendatahub-argoworkflows-users", Resources: []string{"workflows.argoproj.io", "workflowtemplates.argoproj.io", "cronworkflows.argoproj.io"},
		Verbs: []string{"get", "list", "watch", "patch"}, Sometimes: true,
		Reason: "The server answers much of what people ask from its memory, after a review of their rights; kubectl asks the API server.",
	},
}
