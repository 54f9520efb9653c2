# Everything a newcomer needs is `make demo` and `make test`; `make` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
# Empty: the environment's own Python, else the newest of 3.13, 3.12, 3.11 that is found.
export PYTHON ?=
# What is installed: all of development; the image takes requirements.lock, which is what the product needs.
LOCK ?= requirements-dev.lock
BIN := .venv/bin
QUICK := not spark and not slow and not browser and not demo and not whole
# Some environments switch byte code off: every start would then compile everything again.
export PYTHONDONTWRITEBYTECODE :=
export CPC_HOME ?= $(CURDIR)/var
export MPLBACKEND := Agg
# A worker of the tests is a core: learners that took all of them each would wait for one another.
WORKERS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope

.PHONY: help setup demo test lint check spark slow other-python bench clean lock generate docs
.PHONY: new-feed new-feature new-product new-group new-rule new-limit new-channel new-job

help: ## list the targets
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | awk -F'\t' '{printf "  make %-44s %s\n", $$1, $$2}'

setup: .venv/ready ## one environment, Delta's jars, byte code and compiled kernels

# An environment is made again where its Python has gone, or where PYTHON asks for another.
ASKED := $(if $(PYTHON),$(or $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),-none))

.venv/ready: requirements-dev.lock requirements.lock pyproject.toml setup.py $(BIN)/python$(ASKED)
	@bash .ci/environment .venv $(LOCK)
	@echo "jars of Delta for Spark; byte code and numba's cache"
	@$(BIN)/python -m compileall -q $(patsubst %/__init__.py,%,$(wildcard */__init__.py))
	@$(BIN)/python -m cli.warm & warm=$$!; $(BIN)/python -m cli.jars || { wait $$warm; exit 2; }; wait $$warm
	@touch $@

$(BIN)/python$(ASKED): ;

demo: setup ## a province in a box, its night through Airflow, and a summary
	@$(BIN)/cpc demo

test: setup ## every test but the slow ones
	@$(WORKERS) -m "not spark and not slow"
	@$(BIN)/python -m pytest -q -m "spark and not slow"

lint: setup ## format, lint, types, import rules
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }

check: lint ## lint, and the quick tests, none of which needs a JVM, a fifth of their drawn examples: a minute or so
	@CPC_EXAMPLES=20 $(WORKERS) -m "$(QUICK)"

spark: setup ## the tests that share a Spark session
	@$(BIN)/python -m pytest -q -m spark

slow: setup other-python ## fuzzing, full-volume nights, the whole province: hours; first what other-python runs
	@$(BIN)/python -m pytest -q -m slow

other-python: setup ## the quick tests on a second Python, the newest other one of this machine
	@mine=$$($(BIN)/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
	  other=$$(bash .ci/pythons everywhere | grep -v "/$$mine$$" | head -n 1 || true); \
	  if [ -z "$$other" ]; then echo "no Python beside $$mine is installed here that the product runs on: nothing was run on a second one"; exit 0; fi; \
	  folder=.venv-$${other##*python}; PYTHON=$$other bash .ci/environment $$folder requirements-dev.lock; \
	  $$folder/bin/python -m pytest -q -n 2 --dist loadscope -m "$(QUICK)"

bench: setup ## peers and ours in one run; make bench NAME=assignment
	@$(BIN)/python -m benchmarks $(or $(NAME),assignment)

generate: setup ## write every generated file anew: order of the night, listings, pages
	@$(BIN)/python -m cli.generate

docs: setup ## every page and a reference from docstrings, as a site in build/site; broken links fail
	@NO_MKDOCS_2_WARNING=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/mkdocs build --quiet
	@echo "build/site: open index.html, or with its search: python -m http.server -d build/site"

# The product's versions are those of development, which is resolved first.
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11
lock: ## resolve requirements*.in into requirements*.lock: hashes, no addresses
	@$(COMPILE) requirements-dev.in -o requirements-dev.lock
	@$(COMPILE) requirements.in -c requirements-dev.lock -o requirements.lock

new-feed new-feature new-product new-group new-rule new-limit new-channel new-job: setup ## scaffold: NAME=…
	@$(BIN)/python -m conf.scaffold $(subst new-,,$@) $(NAME)

clean: ## remove what the demo made; the environment stays
	@rm -rf $(CPC_HOME) spark-warehouse derby.log metastore_db
