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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
