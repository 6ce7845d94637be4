# Two commands on a bare machine: `make run` and `make test`. `make help` lists the rest.
# Everything runs by `.venv/bin/python -m ...`: scripts in .venv/bin name their interpreter by its path, which breaks
# when the folder moves or its path is long.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
PY := .venv/bin/python
MANAGE := DEBUG=1 $(PY) manage.py
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run reset venv venv-dev test test-all test-lago soak mutants load e2e format lint bench lock

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 20

run: venv  ## the whole portal on this machine (PORT=8000); Ctrl-C stops it
	@$(PY) -m billing_portal.embedded run

reset:  ## stop the portal and empty var/ (asks; FORCE=1 does not)
	@$(PYTHON) -m billing_portal.embedded reset

venv:
	@$(PYTHON) billing_portal/embedded/venv.py requirements.lock

venv-dev:
	@$(PYTHON) billing_portal/embedded/venv.py requirements-dev.lock

# Races and faults need the machine for themselves and committed data: after the rest, in one process.
# pytest ends with 5 where nothing was collected.
define pytest_in_two_parts
	@$(PY) -m pytest -n 2 --dist loadgroup -m "not concurrency $(1)" $(ARGS) || [ $$? -eq 5 ]
	@$(PY) -m pytest -m "concurrency $(1)" $(ARGS) || [ $$? -eq 5 ]
endef

test: venv-dev  ## the test suite; also while `make run` runs (ARGS="-k name"; REQUIRE_BROWSER=1)
	$(call pytest_in_two_parts,and not slow)

test-all: venv-dev  ## the test suite with its long rest
	$(call pytest_in_two_parts,)

test-lago: venv-dev  ## the integration tests against a real Lago (LAGO_API_URL= LAGO_API_KEY=); without one, a sandbox
	@LAGO_TEST_URL="$$LAGO_API_URL" LAGO_TEST_KEY="$$LAGO_API_KEY" $(PY) -m pytest -m real_lago -v tests/real_lago $(ARGS)

soak: venv-dev  ## a million steps of the ledger against its model; goes on where it stopped (ARGS="--minutes 30")
	@$(PY) tests/stateful/soak.py $(ARGS)

mutants: venv-dev  ## plant bugs in money code, each must turn its test red (ARGS="--only lock")
	@$(PY) tests/mutants/run.py $(ARGS)

load: venv-dev  ## 100 to 1,000 clients over HTTP, their log against the books (minutes)
	@$(PY) -m bench.load $(ARGS)

e2e: venv  ## the main job by bash and curl against a running portal (BASE_URL=, KEY=)
	@BASE_URL=$${BASE_URL:-http://127.0.0.1:$${PORT:-8000}} \
	KEY=$${KEY:-$$($(PY) -c 'import json; print(json.load(open("var/demo.json"))["owner_key"])')} tests/e2e/journey.sh

format: venv-dev  ## put code and templates into shape
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .
	@git ls-files -co --exclude-standard 'templates/*.html' | xargs .venv/bin/djade --target-version 5.2
	@git ls-files -co --exclude-standard 'templates/*.html' | xargs $(PY) -m djhtml --tabwidth 2

lint: venv-dev  ## static checks: style, types, imports, templates, migrations, production settings, locks
	@.ci/lint

bench: venv-dev  ## ours against the given opponents, on this machine (minutes)
	@$(PY) -m bench $(ARGS)

lock: venv-dev  ## write both lock files anew (UPGRADE=1 takes the newest versions)
	@$(PY) -m uv pip compile $(LOCK) --extra embedded pyproject.toml -o requirements.lock
	@$(PY) -m uv pip compile $(LOCK) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

LOCK := --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header $(if $(UPGRADE),--upgrade)
