# Works as the first command on a fresh machine: every target first makes .venv and installs into
# it, which the stamp file turns into nothing when it has been done.
#
#   make demo            train on real handwritten digits; results in runs/digits
#   make test            everything that CI runs
#   make docs            the documentation as a site, in build/site
#   make install INSTALL_FLAGS="--extra-index-url URL"     e.g. for a CPU-only build of PyTorch

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.presize-installed
INSTALL_FLAGS ?=
WORKERS ?= 2

# The first Python >= 3.11 that answers; PYTHON=... on the command line overrules the search.
# It is asked to run, not just looked for: a version manager's shim exists without a Python behind.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for p in python3 python3.13 python3.12 python3.11 python; do \
	if $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then echo $$p; break; fi; done

.DEFAULT_GOAL := help
.PHONY: help install demo test docs lint format pytest clean

help:
	@echo "make install   create $(VENV) and install presize with its development tools"
	@echo "make demo      train on real handwritten digits; results in runs/digits"
	@echo "make test      lint, then all tests (what CI runs)"
	@echo "make docs      build the documentation as a site, build/site/index.html"
	@echo "make lint      ruff, mypy and import-linter alone"
	@echo "make format    let ruff rewrite the files in the project's format"
	@echo "make clean     remove caches and runs, keep $(VENV)"

install: $(STAMP)

$(STAMP): pyproject.toml
	@set -e; python="$(PYTHON)"; [ -n "$$python" ] || python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "presize needs Python 3.11 or newer, and none was found on PATH."; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; fi; \
	test -x $(BIN)/python || { echo "creating $(VENV) with $$python"; $$python -m venv $(VENV); }
	@echo "installing presize and its dependencies into $(VENV); PyTorch is large, so once it takes minutes"
	@$(BIN)/python -m pip install $(INSTALL_FLAGS) --quiet -e '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/presize train digits --out runs/digits

test: lint pytest

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

pytest: $(STAMP)
	@# Tests start some hundred programs; without bytecode each would compile all of presize anew.
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist runs
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
