# The commands a person types. Everything else is cargo's.

.PHONY: demo test test-cluster soak bench image

demo: ## a pull request goes in, a green check comes out; keeps serving
	cargo run --locked -- demo

test: ## installs what is missing (Debian), then runs every test
	.ci/install
	.ci/npm-schemas
	cargo test --workspace --locked --quiet

test-cluster: ## the suites that can, on a real kube-apiserver (needs Go) or PROW_TEST_KUBECONFIG's cluster
	.ci/test-cluster

soak: ## a thousand jobs while the API fails and planks are killed: make soak PROW_SOAK_SEED=7
	cargo test --workspace --locked --test soak -- --nocapture

bench: ## speed and size beside their aims: make bench ONLY=config runs some
	cargo bench --workspace --locked --quiet --bench bench -- $(ONLY)

image: ## the images of every program, from one build
	for target in prow hook prow-controller-manager crier horologium deck sinker clonerefs initupload sidecar entrypoint; do \
		docker build --quiet --target $$target --tag $$target . || exit 1; \
	done
