# Commands for people. `make` lists them.

PYTHON ?= python3
VENV ?= .venv
# Additional package index for torch. Without a GPU, a CPU build saves gigabytes:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo stack stack-status stack-stop pipeline pipeline-serve pipeline-stop unit test soak lint images format lock bench-train bench-data bench-serve bench-fleet clean

help: ## List these commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## Create .venv and install the locked packages.

# In the environment: an index may have a password, and others can read arguments.
$(INSTALLED): export PIP_EXTRA_INDEX_URL := $(or $(TORCH_INDEX),$(PIP_EXTRA_INDEX_URL))
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fmnist needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "Installing into $(VENV); the first time takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## Build the data, train and register a model, and classify some pictures with it.
	$(BIN)/fmnist data build
	@# A second demo shows the newest model again, and trains none.
	@$(BIN)/fmnist predict --split test --index 0-7 2>/dev/null || \
		{ $(BIN)/fmnist train && $(BIN)/fmnist predict --split test --index 0-7; }
	@echo
	@echo "Next, after  source $(BIN)/activate :"
	@echo "  fmnist --help"
	@$(BIN)/python -c 'from fmnist.apps import settings, training_report; \
		print("  " + training_report.where_runs_are(settings.load_environment()))'

stack: setup ## Start S3, MLflow, a data registry and Ray on this machine; .env.docker has their addresses.
	@$(BIN)/python -m stack start
	@echo "To use them:  set -a && source .env.docker && set +a"

stack-status: setup ## Show state, address and log file of each service of the stack.
	@$(BIN)/python -m stack status

stack-stop: setup ## Stop the services of the stack; their data stays.
	@$(BIN)/python -m stack stop

pipeline: setup ## Run the pipeline of deploy/ here, up to a tested service; set parameters by PIPELINE='-p NAME=VALUE'.
	@test -n "$$DVC_REPO_URL" || $(BIN)/fmnist data build
	@$(BIN)/python -m pipeline run $(PIPELINE)

pipeline-serve: setup ## Serve the model that the pipeline's GitOps repository names.
	@$(BIN)/python -m pipeline serve

pipeline-stop: setup ## Stop the service of the pipeline.
	@$(BIN)/python -m pipeline stop

# The two plugins take seconds to load in each process, and no unit test uses them.
unit: setup ## Run the unit tests: no training, no cluster, no service.
	$(BIN)/pytest --numprocesses 2 -p no:schemathesis -p no:hydra_pytest tests/unit

# Two processes share the tests. The slow integration tests come first.
test: setup ## Run the whole suite: unit, contract and integration tests. Show the lines of src that pytest does not reach.
	$(BIN)/pytest --numprocesses 2 --no-loadscope-reorder --cov --durations 10 tests/integration tests/unit

soak: setup ## Run the long tests: many reloads under load, memory over many requests, long outages.
	$(BIN)/pytest -m soak --durations 10

lint: setup ## Check format, lint, types, import contracts, images and workflows.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet --no-progress .github

images: ## Build the images fmnist-training and fmnist-serving with Docker; TORCH_INDEX works as in setup.
	@for target in training serving; do \
		docker build --target $$target --tag fmnist-$$target --build-arg TORCH_INDEX \
			--build-arg DOCKER_IMAGE_TAG=local --build-arg GIT_COMMIT=$$(git rev-parse HEAD) . || exit; \
	done

format: setup ## Format the code, and fix what the linter can fix.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-train: setup ## Measure training: overhead, scaling, and time to 90 % accuracy. Takes hours; see --only.
	$(BIN)/python benchmarks/training.py

bench-data: setup ## Measure the time from Parquet files to tensors.
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/data_files.py

bench-serve: setup ## Measure the service against other servers and the bare model. Takes half an hour.
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python benchmarks/serving.py

bench-fleet: setup ## Simulate 1,000 replicas that start at once: how long until all of them serve.
	$(BIN)/python benchmarks/fleet.py

lock: setup ## Update constraints.txt to the newest versions.
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra bench --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-annotate --no-header --output-file constraints.txt

clean: ## Stop services, and remove the environment and the local state: data, runs and models.
	@home=$$($(BIN)/python -c 'from fmnist.apps import settings; print(settings.load_environment().fmnist_home)' \
		2>/dev/null) || home=$${FMNIST_HOME:-.fmnist}; \
	for part in pipeline stack; do \
		test ! -d "$$home/$$part" -o ! -x $(BIN)/python || FMNIST_HOME="$$home" $(BIN)/python -m $$part stop || exit; \
	done; \
	echo "removing $(VENV) and $$home"; rm -rf -- "$(VENV)" "$$home"
