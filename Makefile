# `make demo` shows Accord, `make test` tests it. Both do their own set-up.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.ready-for-tests

# Let Python keep compiled files, whatever the environment says: without them programs take twice as long to start.
export PYTHONDONTWRITEBYTECODE =

PYTHON = $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)

# Set-up resolves nothing: it installs whole lock files, each package by its hash, then checks that they fit together.
# If uv is installed, it does so in seconds; otherwise pip does, version 22 or newer. `make UV= …` uses pip. Both trust the
# certificates that this machine trusts.
UV = $(shell command -v uv)
PIP = $(if $(UV),UV_NATIVE_TLS=1 VIRTUAL_ENV=$(abspath $(VENV)) $(UV) pip,$(BIN)/python -m pip --disable-pip-version-check)
LOCKED = --quiet --no-deps --require-hashes --only-binary :all: $(if $(UV),,--no-compile)

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

demo: $(READY) ## Apply a config repository to SQLite, change one file, ask the API, read two mails
	@VENV=$(abspath $(VENV)) examples/demo.sh

PYTEST = $(BIN)/python -m pytest --numprocesses=$$(( $$(nproc) * 2 )) --dist=worksteal

test: $(TESTS_READY) system-packages typescript browser lint ## Run all tests, on SQLite and on a real PostgreSQL
	$(PYTEST) --cov --cov-report= --durations=10
	$(BIN)/coverage report --include='reconciler/access/*' --fail-under=95
	$(BIN)/coverage report --include='reconciler/plan/*' --fail-under=95

soak: $(TESTS_READY) ## Run all random tests with ten times the tries of `make test` (takes an hour)
	TESTS_EFFORT=10 $(PYTEST) --timeout=7200 $$(grep -rl 'import tries' tests)

STEPS ?= 100000
# in memory: a step waits for no disk
state-machine: $(TESTS_READY) ## Take STEPS=100000 random steps (logins, mints, revocations, applies, …) without a wrong allow (takes 25 minutes)
	@folder=$$(mktemp -d $(addprefix -p ,$(wildcard /dev/shm))); trap 'rm -r $$folder' EXIT; \
	  TMPDIR=$$folder TESTS_STEPS=$(STEPS) $(BIN)/python -m pytest --capture=no --timeout=0 tests/acceptance/api/test_state_machine.py

DATE ?= 2031-06-01 12:00
test-at: $(TESTS_READY) ## Run the tests that need neither PostgreSQL nor Samba as on another day, DATE='2031-06-01 12:00'
	@.ci/system-packages "the clock" cc='gcc libc6-dev'
	.ci/on-another-day '$(DATE)' $(PYTEST) --ignore tests/acceptance/directory -m 'not postgresql'

lint: $(TESTS_READY) ## Check style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TESTS_READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(TESTS_READY) ## Measure Accord against PyYAML on generated config repositories, and the API among slow clients (takes minutes)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.slow_clients
	$(BIN)/python -m benchmarks.hostile

# All use one deployment. After a missed bar, the others are still measured.
bench-api: $(TESTS_READY) ## Measure decisions against a bare handler, while users change, and beside Cerbos if CERBOS names it
	@.ci/system-packages "the benchmarks" wrk=wrk
	@folder=$$(mktemp -d); trap 'rm -r $$folder' EXIT; for load in api churn peer; do \
	  echo; echo "$$load"; $(BIN)/python -m benchmarks.$$load --folder $$folder; done

bench-million: $(TESTS_READY) ## Measure Accord with a million users, on SQLite and on PostgreSQL (takes half an hour)
	@.ci/system-packages "the benchmarks" postgres=postgresql
	$(BIN)/python -m benchmarks.run --users 1000000
	$(BIN)/python -m benchmarks.postgresql benchmarks.run --users 1000000

screenshots: $(TESTS_READY) browser ## Look at every page of the console, into build/screenshots, and renew the README's two images
	$(BIN)/python -m pytest tests/acceptance/console/test_console_looks.py tests/acceptance/console/test_console_states.py -k 'not the_readme_shows'
	cp build/screenshots/console-user.png build/screenshots/console-access.png docs/images/

docs: $(TESTS_READY) ## Renew the reference, the outputs on all pages and the schemas of the example
	$(BIN)/accord schemas examples/config-repo
	$(BIN)/python -m docs.reference

COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --only-binary :all: --generate-hashes --quiet \
  --no-annotate --no-header --no-emit-index-url --no-emit-find-links

# Resolve all together first, so that packages needed by both Accord and the tests suit both; then split the result.
lock: $(TESTS_READY) ## Pin the newest permitted versions of everything, with hashes
	$(COMPILE) --upgrade --all-extras --group build --group test --output-file $(VENV)/together.lock pyproject.toml
	$(COMPILE) --constraint $(VENV)/together.lock --all-extras --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint $(VENV)/together.lock --group build --output-file requirements-build.lock
	$(COMPILE) --constraint $(VENV)/together.lock --group test --output-file requirements-test.lock

vendor: $(READY) ## Make the console's fonts and icons again, from the packages that their lock names (needs npm)
	$(BIN)/python .ci/vendor.py

wheel: $(READY) ## Build the wheel into dist/, beside the lock of its packages
	$(BIN)/python -m hatchling build --target wheel
	cp requirements.lock dist/

clean: ## Remove everything that make created
	rm -rf $(VENV) .demo build dist .coverage .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# System packages for the tests: installed if we are root on Debian; otherwise the skipped tests say what is missing.
.PHONY: system-packages
system-packages:
	@.ci/system-packages "the tests" \
	  postgres=postgresql pgbouncer=pgbouncer nginx=nginx-light curl=curl openssl=openssl npm=npm chromium=chromium \
	  samba-tool='samba samba-ad-provision samba-dsdb-modules samba-vfs-modules python3-samba'

# What the tests of a TypeScript client and of the console need of npm, exactly as pinned. No browser is downloaded.
.PHONY: typescript browser
typescript browser: system-packages
	@if ! command -v npm >/dev/null; then echo "no npm: the tests leave out $(WITHOUT_$@), and say so"; \
	elif ! cmp -s $(NPM_$@)/package-lock.json $(VENV)/$@/package-lock.json; then \
	  rm -rf $(VENV)/$@ $(VENV)/$@.new && mkdir -p $(VENV)/$@.new && cp $(NPM_$@)/package*.json $(VENV)/$@.new/ && \
	  npm --prefix $(VENV)/$@.new ci --ignore-scripts --no-audit --no-fund --silent && mv $(VENV)/$@.new $(VENV)/$@ || \
	  echo "npm failed: the tests leave out $(WITHOUT_$@), and say so"; fi
NPM_typescript = tests/clients
WITHOUT_typescript = the TypeScript client
NPM_browser = tests/browser
WITHOUT_browser = whether axe finds barriers

$(READY): requirements.lock requirements-build.lock pyproject.toml
	@echo "setting up $(VENV)"
	@[ -n "$(PYTHON)" ] || { echo "Accord needs Python 3.11 or newer: python3 is missing or older" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/system-packages "the set-up" ensurepip=python3-venv # a module, not a command: we know that it is missing
	@if [ -e $@ ] && [ -n "$(filter %.lock,$?)" ]; then rm -rf $(VENV); fi # remove what an older lock installed
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install $(LOCKED) -r requirements.lock -r requirements-build.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

$(TESTS_READY): $(READY) requirements-test.lock
	@echo "adding to $(VENV) what the tests need"
	@$(PIP) install $(LOCKED) -r requirements-test.lock
	@$(PIP) check
	@touch $@

.PHONY: help demo test soak state-machine test-at lint format bench bench-api bench-million screenshots docs lock vendor wheel clean
