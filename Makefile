# Every target sets up what it needs: on a fresh machine with Python >= 3.11, `make demo` or `make test` is enough.
SHELL := /bin/bash
PYTHON := .venv/bin/python
RUNS ?= runs
PYTEST_ARGS ?=
# One thread: on our small tensors a second costs more than it brings. WORKERS processes share the files of the fast suite.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint format types docs bench tensorboard clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## Make .venv under the tested versions (a blink when nothing is to do)
	@scripts/setup.sh

demo: setup ## Train the tiny model, score it on held-out scenes, write pictures
	$(PYTHON) -m experiments.demo

test: setup ## Run the fast tests
	@$(PYTEST) -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-slow: setup ## Run the slow tests alone: training, overfitting, kill and resume
	@$(PYTEST) -m slow --timeout 3600 $(PYTEST_ARGS)

lint: setup ## Check style, formatting and the floors
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check --quiet . || { echo "lint: unformatted files; run make format" >&2; exit 1; }
	@.venv/bin/lint-imports --no-logo

format: setup ## Format the code and mend what lint can mend
	@$(PYTHON) -m ruff check --fix --quiet . || true
	@$(PYTHON) -m ruff format .

types: setup ## Check the types
	@$(PYTHON) -m mypy

docs: setup ## Build the site of the pages in build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs --quiet build --strict
	@echo "docs: build/site/index.html"

bench: setup ## Run every benchmark of experiments/benchmarks
	@set -e; for file in $(sort $(wildcard experiments/benchmarks/[a-z]*.py)); do \
		module=$${file%.py}; echo "== $$file"; $(PYTHON) -m $${module//\//.}; done

tensorboard: setup ## Show the runs in a browser (RUNS=folder)
	$(PYTHON) -m tensorboard.main --logdir $(RUNS)

clean: ## Remove caches and build products; runs and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find mvt4g tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +
