# Everything one does with this repository. `make` alone lists the targets.
#
# All of it happens in .venv, installed from the hash-pinned locks in requirements/.
# Stamp files inside .venv remember what is installed: a second `make install` has nothing to do.

PYTHON ?=
ARGS   ?=
DOC    ?=

BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
STAMPS := .venv/.stamps
LOCK   := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header $(if $(UPGRADE),--upgrade)
CODE   := $(wildcard src tests benchmarks examples)
NO_INSTALL = echo "error: pip could not install from the lock; its reason stands above." >&2; \
	echo "next:  if that is the network, check proxy and package index ('pip config list'), then make again." >&2; \
	exit 1

# More than there are cores: most of them wait for servers to start, and for runs to end.
WORKERS ?= 4

# Compiled once, not by each of the hundreds of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help install install-dev demo serve test test-long test-postgres check lint bench bench-fleet campaign lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMPS)/run $(STAMPS)/project ## Install Runwell into .venv (PYTHON=python3.12 picks an interpreter)

install-dev: install $(STAMPS)/dev $(STAMPS)/node ## Add what tests and checks need to the same .venv

demo: install ## Run a real agent from start to finish, offline (DOC=file.txt: on a text of yours)
	@$(BIN)/python -m runwell.cli.demo $(if $(DOC),"$(DOC)")

serve: install ## Start the server
	@$(BIN)/runwell serve $(ARGS)

test: install-dev ## Run the tests (ARGS='-k word' is passed on to pytest)
	@$(BIN)/python -m pytest tests -m "not long" -n $(WORKERS) $(ARGS)
	@echo "... and the core once more, on PostgreSQL (make test-postgres: everything)"
	@$(BIN)/python -m pytest --backend postgres tests/engine tests/stream tests/worker tests/callbacks \
		tests/auth tests/dialects/native -m "not long" -n $(WORKERS) $(ARGS) \
		|| [ $$? = 5 ]  # ARGS may choose none of these

test-long: install-dev ## Run the tests that take very long: receivers and readers through many kills
	@$(BIN)/python -m pytest tests -m long -n 2 $(ARGS)

test-postgres: install-dev ## Run every test that uses a database on PostgreSQL (about ten minutes)
	@$(BIN)/python -m pytest --backend postgres tests/engine tests/stream tests/worker tests/callbacks \
		tests/client tests/agents tests/auth tests/server tests/dialects tests/e2e tests/browser \
		-n $(WORKERS) $(ARGS)

check: install-dev ## Format, lint, types, import ladder, house rules; changes no file
	@echo "ruff format"  && $(BIN)/ruff format --quiet --diff $(CODE)
	@echo "ruff check"   && $(BIN)/ruff check --quiet $(CODE)
	@echo "types, import ladder and house rules, at the same time"
	@$(BIN)/mypy --no-error-summary src tests $(wildcard benchmarks) & types=$$!; \
		$(BIN)/lint-imports --no-logo && $(BIN)/python -m pytest tests/house; others=$$?; \
		wait $$types && exit $$others

lint: install-dev ## Format and fix what can be fixed; changes files
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

bench: install-dev ## Run the benchmarks (ARGS=--help lists them)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-fleet: install-dev ## Run the benchmarks of a fleet on PostgreSQL (ARGS=--help lists them)
	@$(BIN)/python -m benchmarks.fleet $(ARGS)

campaign: install-dev ## Kill a real server 1000 times, deal a fleet 500 blows, and audit what they say
	@$(BIN)/python -m tests.e2e.campaign --cycles 1000 $(ARGS)
	@$(BIN)/python -m tests.e2e.fleet.campaign --cycles 500 $(ARGS)

lock: install-dev ## Compile requirements/*.lock from pyproject.toml (UPGRADE=1: to newest versions)
	@echo "Locking requirements/run.lock, dev.lock and clients.lock ..."
	@$(LOCK) pyproject.toml --extra pydantic-ai --extra build -o requirements/run.lock >/dev/null
	@$(LOCK) pyproject.toml --extra pydantic-ai --extra postgres --extra build --extra test --extra dev \
		-c requirements/run.lock -o requirements/dev.lock >/dev/null
	@$(LOCK) pyproject.toml --extra pydantic-ai --extra postgres -c requirements/run.lock -o requirements/fleet.lock >/dev/null
	@$(LOCK) --no-deps requirements/clients.in -o requirements/clients.lock >/dev/null

clean: ## Remove .venv, caches and build leftovers
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The first interpreter that is new enough; else say what was found and what to do about it.
$(STAMPS)/venv:
	@python=; found=; \
	for name in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
		command -v "$$name" >/dev/null 2>&1 || continue; \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$name"; break; fi; \
		found="$$found $$name=$$("$$name" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo broken)"; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: Runwell needs Python 3.11 or newer; found:$${found:- none}." >&2; \
		echo "next:  install one and say 'make install PYTHON=/path/to/python3.12'." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "error: $$python lacks the venv module, which the distribution ships as a package of its own." >&2; \
		echo "next:  Debian and Ubuntu: 'apt install python3-venv'; then 'make install' again." >&2; exit 1; \
	fi; \
	echo "Creating .venv with $$("$$python" --version) ..."; \
	"$$python" -m venv --clear .venv || { rm -rf .venv; \
		echo "error: '$$python -m venv .venv' failed, see above." >&2; \
		echo "next:  check free space and rights on this folder; then 'make install' again." >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: requirements/run.lock $(STAMPS)/venv
	@echo "Installing the dependencies of Runwell (about a minute the first time) ..."
	@$(PIP) install --require-hashes -r requirements/run.lock </dev/null || { $(NO_INSTALL); }
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/run
	@$(PIP) install --no-deps --no-build-isolation --editable . </dev/null
	@touch $@

$(STAMPS)/dev: requirements/dev.lock requirements/clients.lock $(STAMPS)/run
	@echo "Installing the tools for tests and checks (about a minute the first time) ..."
	@$(PIP) install --require-hashes -r requirements/dev.lock </dev/null || { $(NO_INSTALL); }
	@$(PIP) install --require-hashes --no-deps -r requirements/clients.lock </dev/null || { $(NO_INSTALL); }
	@touch $@

# Clients that run in browsers, for the tests. Without Node.js those tests are skipped on a laptop and
# fail in CI.
$(STAMPS)/node: tests/node/package-lock.json $(STAMPS)/venv
	@if command -v npm >/dev/null 2>&1; then \
		echo "Installing the browser-side clients that the tests run ..."; \
		cd tests/node && npm ci --silent --no-progress </dev/null || { \
			echo "error: npm could not install tests/node; the tests of browser clients will fail." >&2; exit 1; }; \
	else echo "note: no npm here, so the tests of browser-side clients cannot run."; fi
	@touch $@
