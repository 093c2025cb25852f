# Everything a newcomer needs: `make run` and `make test` set up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AUDIT := $(VENV)/audit
LOCKED := $(wildcard requirements*.txt) constraints.txt
REST_OF_COVERAGE := --cov --cov-append --cov-report=term:skip-covered

.DEFAULT_GOAL := help
.PHONY: help setup run browser test test-all test-together test-faults check fix bench bench-check lock audit sbom clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## Make .venv with everything in it

$(STAMP): $(LOCKED) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Lookalike needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

run: setup ## Ingest the image folder, show a first search, serve
	$(BIN)/lookalike-ingest run
	@$(BIN)/lookalike search data/queries/red-sneaker-street.jpg --top 5 --wait 60 & \
	  exec $(BIN)/lookalike serve

browser: ## Install Chromium, which the tests of the pages drive, where apt can
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit 0; done; \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| echo "No Chromium, and none can be installed from here, so the pages will not be tested." \
	  "On Debian: apt-get install chromium"

test: setup browser ## Check the code and run the tests
	$(MAKE) check
	$(MAKE) test-together
	$(BIN)/pytest -m "alone and not slow" $(REST_OF_COVERAGE)

test-all: export REQUIRE_BROWSER = 1
test-all: export HYPOTHESIS_PROFILE = default
test-all: setup browser ## The tests, the slow ones too; fails without a browser
	$(MAKE) check
	$(MAKE) test-together
	$(BIN)/pytest -m "alone or slow" $(REST_OF_COVERAGE)

# Two files at a time, in their order: each worker runs a file to its end, so that fixtures are shared,
# and computes on one core, for threads of two workers on the same cores would wait for each other.
# The coverage is judged at the end of what runs alone after these.
test-together:
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow and not alone" -n 2 --dist loadfile --no-loadscope-reorder \
	  --cov --cov-report= --cov-fail-under=0

test-faults: setup ## Every fault at every step, for an hour
	$(BIN)/pytest tests/faults --timeout 3600

check: setup ## Lint, types, import directions; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## Format and mend what a tool can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure, and print ratios against a reference of the same run
	$(BIN)/python -m benchmarks

bench-check: setup ## Measure, and fail where a ratio is a fifth worse than the one kept
	$(BIN)/python -m benchmarks --quick --check

$(AUDIT)/.installed: requirements-audit.txt $(STAMP)
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@touch $@

audit: $(AUDIT)/.installed ## Look for known vulnerabilities in what is pinned
	@mkdir -p build
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock
	grep -iE '^(torch|torchvision|triton)==' constraints.txt > build/torch.txt \
	  && $(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --requirement build/torch.txt

sbom: $(AUDIT)/.installed ## Write build/sbom.json: every installed package, as CycloneDX
	@mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment --no-validate --pyproject pyproject.toml --output-reproducible \
	  --output-file build/sbom.json $(BIN)/python

lock: setup $(AUDIT)/.installed ## Write down the exact versions that are installed, and their hashes
	{ echo "# What requirements-dev.txt needs in turn; written by make lock."; \
	  $(BIN)/pip freeze --all --exclude-editable | grep -viE '^pip=='; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	$(BIN)/python -m tools.lock_hashes $(AUDIT)/bin/uv

clean: ## Delete the virtual environment and every derived file
	rm -rf $(VENV) data/store build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache
