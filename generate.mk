# What is generated from the types in api/ and from config/.

.PHONY: generate
generate: ## Make deepcopy functions, CustomResourceDefinitions and the API reference from api/, the OLM package and the Helm chart from config/.
	hack/generate.sh

.PHONY: verify-generate
verify-generate: ## Check that what is generated is up to date.
	hack/generate.sh --check

# The images of a release, and where the bundles' images go, without a tag. A tag is replaced by the digest that it stands for now.
IMAGE ?=
FRR_IMAGE ?=
BUNDLE_IMAGE ?=

.PHONY: bundle
bundle: ## Write the OLM package, bundle/ and catalog/, with IMAGE, FRR_IMAGE and BUNDLE_IMAGE where they are set.
	$(GO) run ./hack/bundle -image "$(IMAGE)" -frr-image "$(FRR_IMAGE)" -bundle-image "$(BUNDLE_IMAGE)"
