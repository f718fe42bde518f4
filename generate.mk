# What is generated from the types in api/.

.PHONY: generate
generate: ## Make deepcopy functions, CustomResourceDefinitions and the API reference from api/.
	hack/generate.sh

.PHONY: verify-generate
verify-generate: ## Check that what is generated from api/ is up to date.
	hack/generate.sh --check
