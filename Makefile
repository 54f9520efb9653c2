# Everything a newcomer needs is `make demo` and `make test`; `make` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3.11
# What is installed: all of development; the image takes requirements.lock, which is what the product needs.
LOCK ?= requirements-dev.lock
BIN := .venv/bin
# Some environments switch byte code off: every start would then compile everything again.
export PYTHONDONTWRITEBYTECODE :=
export CPC_HOME ?= $(CURDIR)/var
export MPLBACKEND := Agg

.PHONY: help setup demo test lint check spark slow bench clean lock generate new-feed new-feature new-product new-rule

help: ## list the targets
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | awk -F'\t' '{printf "  make %-44s %s\n", $$1, $$2}'

setup: .venv/ready ## one environment, Delta's jars, byte code and compiled kernels

.venv/ready: requirements-dev.lock requirements.lock pyproject.toml setup.py
	@PYTHON=$(PYTHON) bash .ci/prerequisites
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "environment: pinned packages, by hash"
	@sed -n '/^\(uv\|setuptools\)==/,/^    # via/p' requirements-dev.lock > .venv/uv.txt
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(LOCK)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@echo "jars of Delta for Spark; byte code and numba's cache"
	@$(BIN)/python -m compileall -q $(patsubst %/__init__.py,%,$(wildcard */__init__.py))
	@$(BIN)/python -m cli.warm & warm=$$!; $(BIN)/python -m cli.jars || { wait $$warm; exit 2; }; wait $$warm
	@touch $@

demo: setup ## a province in a box, its night through Airflow, and a summary
	@$(BIN)/cpc demo

test: setup ## every test but the slow ones
	@$(BIN)/python -m pytest -q -n 2 --dist loadscope -m "not spark and not slow"
	@$(BIN)/python -m pytest -q -m "spark and not slow"

lint: setup ## format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }

check: lint ## lint, and the quick tests, none of which needs a JVM: under a minute once warm
	@$(BIN)/python -m pytest -q -n 2 --dist loadscope -m "not spark and not slow and not browser and not demo and not whole"

spark: setup ## the tests that share a Spark session
	@$(BIN)/python -m pytest -q -m spark

slow: setup ## fuzzing, full-volume nights, the whole province: hours
	@$(BIN)/python -m pytest -q -m slow

bench: setup ## peers and ours in one run; make bench NAME=assignment
	@$(BIN)/python -m benchmarks $(or $(NAME),assignment)

generate: setup ## compile conf/generated and the data dictionary anew
	@$(BIN)/python -m runtime.night_order

# The product's versions are those of development, which is resolved first.
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11
lock: ## resolve requirements*.in into requirements*.lock: hashes, no addresses
	@$(COMPILE) requirements-dev.in -o requirements-dev.lock
	@$(COMPILE) requirements.in -c requirements-dev.lock -o requirements.lock

new-feed new-feature new-product new-rule: setup ## scaffold: make new-feed NAME=…
	@$(BIN)/python -m conf.scaffold $(subst new-,,$@) $(NAME)

clean: ## remove what the demo made; the environment stays
	@rm -rf $(CPC_HOME) spark-warehouse derby.log metastore_db
