# The commands a person types. Everything else is cargo's.

.PHONY: demo test lint test-cluster test-node soak bench image images push tag

demo: ## a pull request goes in, a green check comes out; keeps serving
	cargo run --locked -- demo

test: ## installs what is missing (Debian), then runs every test
	.ci/install
	.ci/npm-schemas
	cargo test --workspace --locked --quiet

lint: ## format, clippy, dependencies: unused ones, licences, sources
	.ci/lint

test-cluster: ## the suites that can, on a real kube-apiserver (needs Go) or PROW_TEST_KUBECONFIG's cluster
	.ci/test-cluster

test-node: ## the images and manifests on a Kubernetes of two nodes, made for it (Debian, root)
	.ci/test-node

soak: ## a thousand jobs while the API fails and planks are killed: make soak PROW_SOAK_SEED=7
	cargo test --workspace --locked --test soak -- --nocapture

bench: ## speed and size beside their aims: make bench ONLY=config runs some
	cargo bench --workspace --locked --quiet --bench bench -- $(ONLY)

# What builds and pushes, where images are at home, their tag and cargo's profile:
# make image push BUILD="podman build" PUSH="podman push" REGISTRY=registry.example.org/prow
BUILD = docker build
PUSH = docker push --quiet
REGISTRY = localhost
TAG = v$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
PROFILE = release
PROGRAMS = prow hook prow-controller-manager crier horologium deck sinker clonerefs initupload sidecar entrypoint
IMAGES = $(PROGRAMS:%=$(REGISTRY)/%:$(TAG))

image: ## the images of every program, from one build
	for program in $(PROGRAMS); do \
		$(BUILD) --quiet --build-arg PROFILE=$(PROFILE) --target $$program --tag $(REGISTRY)/$$program:$(TAG) . || exit 1; \
	done

images: ## their names, to be loaded into a cluster
	@echo $(IMAGES)

push: ## brings them to REGISTRY
	for image in $(IMAGES); do $(PUSH) $$image || exit 1; done

tag: ## the tag that the manifests name
	@echo $(TAG)
