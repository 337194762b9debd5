# What a person runs. `make` alone lists it.

PYTHON ?= python3
VENV ?= .venv
# Where else pip may look for torch. Without a GPU, a CPU build saves gigabytes:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo stack stack-status stack-stop pipeline pipeline-serve pipeline-stop test soak lint images format lock bench-train bench-data bench-serve clean

help: ## List these commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## Create .venv and install from the lock.

# In the environment, for an index may have a password, and others can read an argument list.
$(INSTALLED): export PIP_EXTRA_INDEX_URL := $(or $(TORCH_INDEX),$(PIP_EXTRA_INDEX_URL))
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fmnist needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "Installing into $(VENV): some minutes the first time."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## Data, training, a registered model, and some pictures classified with it.
	$(BIN)/fmnist data build
	@# The newest model is shown again, if there is one; `fmnist train` trains another.
	@$(BIN)/fmnist predict --split test --index 0-7 2>/dev/null || \
		{ $(BIN)/fmnist train && $(BIN)/fmnist predict --split test --index 0-7; }
	@echo
	@echo "Next, after  source $(BIN)/activate :"
	@echo "  fmnist --help"
	@$(BIN)/python -c 'from fmnist.apps import settings, training_report; \
		print("  " + training_report.where_runs_are(settings.load_environment()))'

stack: setup ## Start S3, MLflow, a data registry and Ray on this machine; .env.docker points at them.
	@$(BIN)/python -m stack start
	@echo "To use them:  set -a && source .env.docker && set +a"

stack-status: setup ## Say which of them are up, and where their logs are.
	@$(BIN)/python -m stack status

stack-stop: setup ## Stop them; what they hold stays.
	@$(BIN)/python -m stack stop

pipeline: setup ## Walk the pipeline of deploy/ here, to a tested service; PIPELINE='-p NAME=VALUE' gives it parameters.
	@test -n "$$DVC_REPO_URL" || $(BIN)/fmnist data build
	@$(BIN)/python -m pipeline run $(PIPELINE)

pipeline-serve: setup ## Bring into service what the pipeline's GitOps repository says.
	@$(BIN)/python -m pipeline serve

pipeline-stop: setup ## Stop the service.
	@$(BIN)/python -m pipeline stop

# Two processes share the tests out; what takes longest comes first.
test: setup ## Run the whole suite: unit, contract and integration tests.
	$(BIN)/pytest --numprocesses 2 --no-loadscope-reorder --durations 10 tests/integration tests/unit

soak: setup ## Run what takes long: many reloads under load, memory over many requests, long outages.
	$(BIN)/pytest -m soak --durations 10

lint: setup ## Check format, lint, types, the direction of imports, images, workflows and manifests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet --no-progress .github
	$(BIN)/pytest --quiet --no-header tests/unit/deploy

images: ## Build the images `fmnist-training` and `fmnist-serving` with Docker; TORCH_INDEX as for setup.
	@for target in training serving; do \
		docker build --target $$target --tag fmnist-$$target --build-arg TORCH_INDEX \
			--build-arg DOCKER_IMAGE_TAG=local --build-arg GIT_COMMIT=$$(git rev-parse HEAD) . || exit; \
	done

format: setup ## Format the code, and mend what the linter can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-train: setup ## Measure training: its overhead, how it scales, how soon it is any good. Hours; see --only.
	$(BIN)/python benchmarks/training.py

bench-data: setup ## Measure the way from Parquet to a tensor.
	$(BIN)/python benchmarks/data.py

bench-serve: setup ## Measure the service against other servers and the bare model.
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/serving.py

lock: setup ## Resolve constraints.txt anew.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra bench --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-annotate --no-header --output-file constraints.txt

clean: ## Stop what runs; remove the environment and the local state: data, runs and models.
	@home=$$($(BIN)/python -c 'from fmnist.apps import settings; print(settings.load_environment().fmnist_home)' \
		2>/dev/null) || home=$${FMNIST_HOME:-.fmnist}; \
	for part in pipeline stack; do \
		test ! -d "$$home/$$part" -o ! -x $(BIN)/python || FMNIST_HOME="$$home" $(BIN)/python -m $$part stop || exit; \
	done; \
	echo "removing $(VENV) and $$home"; rm -rf -- "$(VENV)" "$$home"
