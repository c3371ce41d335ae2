# Everything that people and CI run. `make` lists it. Tools are built when they are first needed.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# All of Go is compiled with the same flags, so that each package is compiled once: for the operator, for tests, and for the programs of local
# clusters, whose modules have the same versions of what they share (structure_test.go). It is compiled without what debuggers read, which no program
# is linked with, and which is an eighth of the work.
export CGO_ENABLED := 0
export GOFLAGS := $(shell go env GOFLAGS) -trimpath -gcflags=all=-dwarf=false

VERSION ?= 0.1.0
# The image that is built, deployed and named in the bundle.
IMG ?= quay.io/opendatahub/operator:v$(VERSION)
# A table of images, as the operator's --images takes it, from which the bundle has digests.
DIGESTS ?=
# docker or podman: make bundle asks it for which architectures the images are.
CONTAINER_TOOL ?=
# The image of the bundle, which the catalogue names.
BUNDLE_IMG ?= quay.io/opendatahub/operator-bundle:v$(VERSION)
# The image that oc adm must-gather starts, which the bundle names.
MUST_GATHER_IMG ?= quay.io/opendatahub/must-gather:v$(VERSION)
# The image with a shell and tar, such as registry.access.redhat.com/ubi9/ubi@sha256:..., on which release and push make that. Without it they do not.
MUST_GATHER_BASE ?=
# What `make run` does once the platform is ready: stay or exit.
WAIT ?= stay
# How long `make run` waits for that.
TIMEOUT ?= 5m
# The local cluster: several of different names can run at once. Without PORT a default or a free one is taken.
NAME ?= opendatahub
PORT ?=
# What the node of the local cluster is: played (by KWOK, as are Pods), or real: Pods run. Real needs Linux and root.
NODE ?= played
# The cluster of `make run`: local, or current: that of kubectl's current context. It asks first, and CONFIRM=yes answers.
CLUSTER ?= local
# The OpenDataHub that `make run` applies.
SAMPLE ?= $(if $(filter real,$(NODE)),hack/node/platform.yaml,config/samples/opendatahub.yaml)
# What `make deploy` applies: config/default, config/cluster-wide, config/without-installer or config/namespaced.
CONFIG ?= config/default
# Numbers of platforms for make bench.
PLATFORMS ?= 1,10,100,300
# The specs that make test-race runs.
FOCUS ?= Kafka|optional|controller that
# A folder in which make test-real keeps the pictures that Chromium takes of the pages.
SCREENSHOTS ?=
# all, or a regular expression: what make test-real breaks while a user works, see docs/faults.md.
FAULTS ?=
# More flags for go test, as in TESTFLAGS='-run TestX -v'.
TESTFLAGS ?=

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/opendatahub/bin
CONTROLLER_GEN := $(CACHE)/controller-gen-v0.23.0/controller-gen
GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT := $(CACHE)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint

# The modules of the repository that hold Go code of ours, besides the one at the root.
MODULES := hack/argo hack/bundle hack/promtool hack/rclone

##@ Run

.PHONY: run
run: build ## Start a local cluster and the operator, and apply the sample (NODE=played|real, CLUSTER=local|current, SAMPLE, WAIT=stay|exit, TIMEOUT, NAME, PORT).
	go run ./hack/run -wait $(WAIT) -timeout $(TIMEOUT) -name $(NAME) $(if $(PORT),-port $(PORT)) -cluster $(CLUSTER) -node $(NODE) \
		-config $(CONFIG) -image $(IMG) -sample $(SAMPLE)

.PHONY: cluster-up
cluster-up: ## Start a local cluster (NODE, NAME, PORT).
	go run ./hack/cluster up --name $(NAME) --node $(NODE) $(if $(PORT),--port $(PORT))

.PHONY: cluster-down
cluster-down: ## Stop a local cluster (NAME).
	go run ./hack/cluster down --name $(NAME)
	rm -rf .local/clusters/$(NAME).run

##@ Build

.PHONY: build
build: ## Build bin/opendatahub.
	go build -ldflags "-s -w -X main.version=v$(VERSION)" -o bin/opendatahub .

.PHONY: release
release: ## Build programs, SBOMs, images and provenance for all platforms, to bin/release (VERSION, MUST_GATHER_BASE).
	go run ./hack/release -version $(VERSION) $(if $(MUST_GATHER_BASE),-must-gather-base $(MUST_GATHER_BASE))

.PHONY: push
push: ## Do the same, and push the images to IMG and MUST_GATHER_IMG, with the credentials of docker login or podman login.
	$(if $(MUST_GATHER_BASE)$(filter file,$(origin MUST_GATHER_IMG)),,$(error MUST_GATHER_IMG is made on top of MUST_GATHER_BASE, which is not set))
	go run ./hack/release -version $(VERSION) -push $(IMG) \
		$(if $(MUST_GATHER_BASE),-must-gather-base $(MUST_GATHER_BASE) -push-must-gather $(MUST_GATHER_IMG))

.PHONY: check-release
check-release: ## Fail if two builds of a release differ, or lack something.
	OPENDATAHUB_TEST_RELEASE=must go test -count=1 $(TESTFLAGS) ./hack/release

.PHONY: check-upgrade
check-upgrade: ## Fail if this version takes over a platform of the previous one otherwise than test/upgrade/changes.yaml says.
	OPENDATAHUB_TEST_UPGRADE=$(or $(OPENDATAHUB_TEST_UPGRADE),must) go test -timeout 60m -count=1 $(TESTFLAGS) ./test/upgrade

.PHONY: clean
clean: ## Delete what was built. Cached tools and running clusters stay.
	rm -rf bin

##@ Test

.PHONY: test
test: ## Run every test: unit, golden, schema, and the suites on a local cluster.
	go run ./hack/cluster build # minutes the first time, which no suite has to wait for then
	hack/argo/build.sh
	go test -timeout 60m $(TESTFLAGS) ./...
	@# Their results are not kept: they read files outside their module, whose changes go test does not notice.
	@for module in $(MODULES); do (cd $$module && go test -count=1 $(TESTFLAGS) ./...) || exit 1; done

.PHONY: test-real
test-real: build ## Run the tests that need Pods that really run (Linux, root). They are skipped where that cannot be.
	OPENDATAHUB_TEST_REAL=$(or $(OPENDATAHUB_TEST_REAL),try) OPENDATAHUB_SCREENSHOTS=$(abspath $(SCREENSHOTS)) OPENDATAHUB_FAULTS='$(FAULTS)' \
		go test -timeout 60m -count=1 -parallel 4 -v $(TESTFLAGS) ./test/real

# The suite runs the whole operator beside what plays the cluster and Strimzi; all of it would take too long.
.PHONY: test-race
test-race: ## Run the tests that need no cluster, and one suite in part, with the race detector (needs a C compiler).
	CGO_ENABLED=1 go test -race $(TESTFLAGS) $$(go list ./... | grep -v '^opendatahub.io/operator/test')
	CGO_ENABLED=1 go test -race $(TESTFLAGS) -count=1 ./test/e2e -ginkgo.focus '$(FOCUS)'

.PHONY: unit
unit: ## Run the tests that need no cluster.
	go test $(TESTFLAGS) $$(go list ./... | grep -v '^opendatahub.io/operator/test')

.PHONY: component
component: ## Generate the skeleton of a component (NAME=elephant), to be filled in.
	go run ./hack/component -name "$(NAME)"

.PHONY: golden
golden: ## Rewrite the golden files. The diff is the review.
	go test -count=1 $$(grep -rl --include=*_test.go -e 'componenttest\.Golden(' -e 'flag\.Bool("update"' components dependencies | xargs -n 1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: check-golden
check-golden: ## Fail if make golden changes anything.
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	find components dependencies -path '*/testdata/*' -type f | tar -c -T - | tar -x -C "$$before"; \
	$(MAKE) golden; \
	for folder in $$(find components dependencies -name testdata -type d); do diff -ru "$$before/$$folder" "$$folder" || differs=1; done; \
	[ -z "$${differs:-}" ] || { echo "Golden files were out of date. They are rewritten now: read the diff, and commit them." >&2; exit 1; }

.PHONY: bench
bench: build ## Measure what platforms cost (PLATFORMS=1,10,100,300).
	go run ./test/bench -platforms $(PLATFORMS)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check the code.
	$(GOLANGCI_LINT) run
	@for module in $(MODULES); do (cd $$module && $(GOLANGCI_LINT) run) || exit 1; done

.PHONY: check
check: ## Do exactly what CI does.
	.ci/run

##@ Generate

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate code, the CRD, RBAC, docs/api.md, docs/command-line.md and the bundle.
	rm -rf api/v1alpha1/applyconfiguration
	$(CONTROLLER_GEN) object paths=./api/v1alpha1
	$(CONTROLLER_GEN) applyconfiguration paths=./api/v1alpha1
	$(CONTROLLER_GEN) crd paths=./api/v1alpha1 output:crd:dir=config/crd
	go run ./hack/apidocs config/crd/opendatahub.io_opendatahubs.yaml > docs/api.md.new
	mv docs/api.md.new docs/api.md
	go run . rbac config/rbac/components > config/rbac/role.yaml.new
	mv config/rbac/role.yaml.new config/rbac/role.yaml
	go run . related-images > config/manifests/images.yaml.new
	mv config/manifests/images.yaml.new config/manifests/images.yaml
	go run . reference > docs/command-line.md.new
	mv docs/command-line.md.new docs/command-line.md
	@$(MAKE) bundle

.PHONY: bundle
bundle: ## Generate the OLM bundle and its catalogue from config/, and validate them (BUNDLE_IMG, DIGESTS=file with the digests of images, CONTAINER_TOOL=docker|podman).
	go run -C hack/bundle . -version $(VERSION) -image $(IMG) -bundle-image $(BUNDLE_IMG) -must-gather-image $(MUST_GATHER_IMG) $(if $(DIGESTS),-digests $(abspath $(DIGESTS))) $(if $(CONTAINER_TOOL),-container-tool $(CONTAINER_TOOL)) ../..

GENERATED := api/v1alpha1/zz_generated.deepcopy.go api/v1alpha1/applyconfiguration \
	config/crd/opendatahub.io_opendatahubs.yaml config/rbac/role.yaml config/manifests/images.yaml docs/api.md docs/command-line.md bundle bundle.Dockerfile catalog

# Compares files, not commits, so that it can be run before a commit as well.
.PHONY: check-generated
check-generated: ## Fail if the generated files are not what make generate makes.
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	tar -c $(GENERATED) | tar -x -C "$$before"; \
	$(MAKE) generate; \
	for path in $(GENERATED); do diff -ru "$$before/$$path" "$$path" || differs=1; done; \
	[ -z "$${differs:-}" ] || { echo "Generated files were out of date. They are rewritten now: commit them." >&2; exit 1; }

.PHONY: recording
recording: ## Record docs/first-hour.txt: the commands of docs/first-hour.md on a local cluster.
	hack/record.sh

##@ Deploy

.PHONY: deploy
deploy: ## Deploy the operator to the cluster of the current kubectl context (IMG, CONFIG).
	kubectl kustomize $(CONFIG) | sed 's|quay.io/opendatahub/operator:.*|$(IMG)|' | kubectl apply --server-side --force-conflicts -f -

.PHONY: undeploy
undeploy: ## Remove the operator. The CRD stays, and with it every platform: delete them first.
	kubectl delete --ignore-not-found -k config/installer
	kubectl delete --ignore-not-found -k config/manager
	kubectl delete --ignore-not-found -k config/rbac
	kubectl delete --ignore-not-found -k config/admission
	kubectl delete --ignore-not-found -f config/namespaced/role_binding.yaml
	kubectl delete --ignore-not-found -f config/cluster-wide/role_binding.yaml

##@ Help

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make <target> [VARIABLE=value]" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(CONTROLLER_GEN): hack/tools/go.mod
	@mkdir -p $(@D)
	go build -C hack/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

$(GOLANGCI_LINT):
	@echo "Building golangci-lint $(GOLANGCI_LINT_VERSION), once: this takes a few minutes."
	GOBIN=$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
