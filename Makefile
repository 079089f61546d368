# Two commands do all the set-up: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKSPACE ?= workspace
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs lock images base-image clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything in the lock file

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'uv>=0.9'
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraints requirements.lock --editable '.[ml,kubernetes,server,pipelines,local,dev]'
	@touch $@

demo: $(READY) ## run the whole pipeline on a synthetic cube, with a real object store and MLflow
	$(BIN)/python -m pipelines demo --workspace $(WORKSPACE)

test: $(READY) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup $(PYTEST_ARGS)

lint: $(READY) ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write docs/configuration.md from the schema
	$(BIN)/python docs/write_configuration.py

lock: $(READY) ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-header pyproject.toml --output-file requirements.lock

images: ## build the images; docker/build.sh tells of LSTFILL_IMAGE_REGISTRY, LSTFILL_IMAGE_TAG, BASE_IMAGE, CA_FILE, DOCKER
	docker/build.sh

base-image: ## make a base image from Debian's packages, for BASE_IMAGE where no registry is in reach (root)
	docker/base.sh

clean: ## remove what is made here, but not workspaces
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# A cluster on this machine: manifests/kind.yaml and manifests/overlays/kind, with images of this version. It needs
# Docker, kind, kubectl and curl; `make e2e` does all of it, `make kind-down` removes it.
.PHONY: crds manifests kind-up kind-load deploy submit-demo check-demo kind-down e2e
KIND ?= kind
KIND_RUNS := s3://lstfill/runs/demo
KIND_IMAGES = $(addsuffix :$(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml),lstfill-python lstfill-python-ml lstfill-mlflow)
KIND_S3 = LSTFILL_S3_ENDPOINT_URL=http://127.0.0.1:9000 LSTFILL_S3_REGION=us-east-1 \
  $(shell sed -n 's/^ *- \(LSTFILL_S3_[A-Z_]*KEY[A-Z_]*=.*\)/\1/p' manifests/overlays/kind/kustomization.yaml)

crds: $(READY) ## lay the resource definitions of the Dask operator beside the manifests
	cp "$$($(BIN)/python -c 'import importlib.util as u; print(u.find_spec("dask_kubernetes").submodule_search_locations[0])')"/operator/deployment/helm/dask-kubernetes-operator/crds/*.yaml manifests/cluster-scoped/dask/

manifests: $(READY) ## check the manifests as far as that needs no cluster
	$(BIN)/python -m pytest tests/manifests

kind-up: ## start a cluster in Docker, with ports on 127.0.0.1
	$(KIND) get clusters | grep --line-regexp --quiet lstfill || $(KIND) create cluster --config manifests/kind.yaml --wait 300s

kind-load: ## bring the images into the cluster
	$(KIND) load docker-image --name lstfill $(KIND_IMAGES)

deploy: crds ## install Kubeflow Pipelines, MLflow, Dask's operator and the demo's cube on the cluster
	manifests/deploy.sh

submit-demo: $(READY) ## run the demo on the cluster, and wait for its end
	LSTFILL_DEMO_CUBE=s3://lstfill/sources/esdc-like.zarr $(BIN)/python -m pipelines submit --host http://127.0.0.1:8888 \
	  --config pipelines/configs/demo.yaml --workspace $(KIND_RUNS) --run-name demo --wait --timeout 3600

check-demo: $(READY) ## check what the demo left on the cluster: the filled cube and the scores
	$(KIND_S3) LSTFILL_E2E_WORKSPACE=$(KIND_RUNS) LSTFILL_E2E_SOURCE=s3://lstfill/sources/esdc-like.zarr \
	  $(BIN)/python -m pytest tests/cluster

kind-down: ## remove the cluster and all that is in it
	$(KIND) delete cluster --name lstfill

e2e: ## all of it: cluster, images, installation, demo, checks
	$(MAKE) kind-up
	$(MAKE) images
	$(MAKE) kind-load
	$(MAKE) deploy
	$(MAKE) submit-demo
	$(MAKE) check-demo

# What a run costs: benchmarks/README.md. BENCH_CUBE names a cube (with its truth beside it), BENCH_TOOLS a directory of
# other programs, PEER_PYTHON the interpreter of the peer's environment or `make`; each may be left out.
.PHONY: bench bench-start bench-job bench-parts bench-workers bench-remote bench-growth bench-tiles bench-globe

bench: $(READY) ## measure time and memory, and write benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

bench-start bench-job bench-parts bench-workers bench-remote bench-growth bench-tiles bench-globe: $(READY)
	$(BIN)/python -m benchmarks $(@:bench-%=%)
