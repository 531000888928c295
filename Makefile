# Accord: `make demo` shows it, `make test` tests it; each does all set-up itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## Make a config repository, plan and apply it to SQLite, change one file, then serve the API, ask it, and read a mail
	@VENV=$(VENV) examples/demo.sh

test: $(READY) system-packages lint ## Run all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest --numprocesses=$$(( $$(nproc) * 2 )) --dist=worksteal --cov --cov-report= --durations=10
	$(BIN)/coverage report --include='reconciler/access/*' --fail-under=95
	$(BIN)/coverage report --include='reconciler/plan/*' --fail-under=95

lint: $(READY) ## Check style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## Measure Accord against PyYAML on generated config repositories, and the API among slow clients (takes minutes)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.slow_clients

docs: $(READY) ## Write the references anew from the programs, and the outputs on all pages
	$(BIN)/python -m docs.reference

lock: $(READY) ## Pin the newest permitted versions of everything, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet --upgrade --output-file requirements.lock

clean: ## Remove everything that make made
	rm -rf $(VENV) .demo dist .coverage .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# What the tests need of the system: installed where we are root on Debian, else said by the tests that are skipped.
.PHONY: system-packages
system-packages:
	@missing=; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing="$$missing postgresql"; \
	PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v samba-tool >/dev/null || missing="$$missing samba samba-ad-provision samba-dsdb-modules samba-vfs-modules python3-samba"; \
	if [ -z "$$missing" ]; then exit; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing for the tests:$$missing"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null; \
	else echo "not installed:$$missing; the tests that need them will be skipped"; fi

$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV)"
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Accord needs Python 3.11 or newer")'
	@python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: help demo test lint format bench docs lock clean
