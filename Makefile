# `make help` lists the targets. Everything a target needs beyond Go, make, gcc and git it installs or builds itself.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO ?= go
export CGO_ENABLED ?= 0
export GOFLAGS ?= -buildvcs=false
TOOL := $(GO) tool -modfile=tools/go.mod
LINT := $(GO) tool -modfile=tools/lint/go.mod golangci-lint
# The linter's cache holds absolute paths: findings kept from another checkout of the same files would lose their
# nolint comments and exclusions when that checkout is gone. So each checkout has a cache of its own.
export GOLANGCI_LINT_CACHE := $(CURDIR)/bin/lint-cache$(CURDIR)
PROGRAMS := operator controller kubectl-metallb speaker reloader
LAB := $(GO) run ./test/lab/cmd/lab
# Packages whose tests bring up whole clusters. They wait more than they work, so they run beside each other, after everything else.
CLUSTER_TESTS := ./test/lab ./test/olm/cluster ./test/e2e
# The specs of ./test/e2e that have a cluster of their own, by how their names begin: those that wait longest.
SLOW_SPECS := A drain|A speaker.s pod that is deleted|An update|An installation for layer 2 alone
BENCH_COUNT ?= 20
BENCH_SOAK ?= 30m

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(addprefix bin/,$(PROGRAMS)) ## Build the programs, static, into bin/.

bin/operator bin/controller bin/kubectl-metallb: bin/%: FORCE
	$(GO) build -ldflags "-s -w" -o $@ ./controllers/cmd/$*

bin/speaker bin/reloader: bin/%: FORCE
	$(GO) build -ldflags "-s -w" -o $@ ./speaker/cmd/$*

.PHONY: FORCE
FORCE:

.PHONY: demo
demo: ## Bring up a cluster in network namespaces and show the product doing its job (root; Debian).
	$(GO) run ./test/demo

.PHONY: demo-down
demo-down: ## Take the demo's cluster down.
	$(GO) run ./test/demo -down

.PHONY: test
test: prepare vet test-unit ## Run every test: unit, golden, property, real API server, real FRR, real cluster (root; Debian).
	$(MAKE) --no-print-directory --jobs=3 test-cluster

.PHONY: prepare
prepare: ## Build and fetch what tests need and the cache has not: Kubernetes, root file systems, images.
	$(LAB) prepare

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster (some start a real API server or real FRR daemons: they wait more than they work).
	$(GO) test -timeout 20m -p 3 -parallel 4 $$($(GO) list ./... | grep -v -x -F -f <($(GO) list $(CLUSTER_TESTS)))

.PHONY: test-cluster test-labs test-e2e test-e2e-slow
test-cluster: test-e2e-slow test-e2e test-labs ## Run the tests that bring up real clusters (--jobs=3: beside each other).

test-e2e:
	$(GO) test -timeout 40m ./test/e2e -ginkgo.fail-on-empty -ginkgo.skip "$(SLOW_SPECS)"

test-e2e-slow:
	$(GO) test -timeout 40m ./test/e2e -lab e2eslow -ginkgo.fail-on-empty -ginkgo.focus "$(SLOW_SPECS)"

test-labs:
	$(GO) test -timeout 40m -p 1 $(filter-out ./test/e2e,$(CLUSTER_TESTS))

.PHONY: bench
bench: ## Print the figures of docs/benchmarks.md (root; Debian; about 45 minutes).
	$(GO) test -timeout 60m -run '^$$' -bench . -benchtime $(BENCH_COUNT)x -count 1 ./test/bench
	$(MAKE) bench-bgp
	$(MAKE) bench-l2

.PHONY: bench-bgp
bench-bgp: ## Print those of BGP alone: single changes among many, a link that is cut, what is said of sessions, a speaker at rest (no cluster; about 25 minutes).
	$(GO) test -timeout 60m -run '^$$' -bench 'Change|Size|LinkCut' -benchtime 10x -count 1 ./speaker/internal/reload
	$(GO) test -timeout 60m -run '^$$' -bench SessionState -benchtime 10x -count 1 ./speaker/cmd/speaker
	$(GO) test -timeout 60m -run '^$$' -bench AtRest -benchtime 1x -count 1 ./speaker/cmd/speaker

.PHONY: bench-l2
bench-l2: ## Print those of layer 2 alone (8 to 9 minutes).
	$(GO) test -timeout 60m -run '^$$' -bench . -skip Soak -benchtime $(BENCH_COUNT)x -count 1 ./test/bench/layer2

.PHONY: bench-olm
bench-olm: ## Print how long it takes in a fresh cluster from a Subscription to the first answer of a Service (2 minutes).
	$(GO) test -timeout 30m -count 1 -v ./test/olm/cluster -ginkgo.focus 'A Subscription (installs|leads)'

.PHONY: bench-soak
bench-soak: ## Count false take-overs on layer 2 while all processors are busy, for BENCH_SOAK.
	$(GO) test -timeout 24h -run '^$$' -bench Soak -benchtime 1x -count 1 ./test/bench/layer2 -soak $(BENCH_SOAK)

.PHONY: vet
vet: ## Run go vet.
	$(GO) vet ./...

.PHONY: lint
lint: ## Run the linters of .golangci.yml.
	$(LINT) run ./...

include generate.mk

.PHONY: verify
verify: verify-generate lint ## Check that generated files are up to date, modules are tidy and the linters pass.
	$(GO) mod tidy -diff
