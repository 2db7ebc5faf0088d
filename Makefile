# Commands for contributors. `make test` and `make demo` install everything they need.

PYTHON  ?= python3
WORKERS ?= $(shell echo $$((4 * $$(nproc))))
BIN     := .venv/bin
PYTEST  := $(BIN)/python -m pytest
export PYTHON
unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of interpreters, and each would compile drd

.DEFAULT_GOAL := help
.PHONY: help setup test check lint format demo demo-incident bench faults mutants recording clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: Debian packages (as root) and .venv
	@scripts/setup test

test: setup ## Run the tests (WORKERS at a time, by default four for each core; ARGS="-k name" to choose)
	$(PYTEST) -n $(WORKERS) $(ARGS)

lint: setup ## Format, style, types and layers, without the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## Everything that must pass before a commit

format: setup ## Rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: ## A disaster and the recovery, with real servers (KEEP=1 leaves them running)
	@scripts/setup demo
	$(BIN)/python -m demo.run

demo-incident: ## A leaked key and a destroyed database, from the report to the closed clocks
	@scripts/setup demo
	$(BIN)/python -m demo.incident

bench: setup ## Measure what the documentation promises (ARGS="--only status")
	$(BIN)/python -m bench $(ARGS)

faults: setup ## Long rounds of injected faults
	$(PYTEST) -m faults $(ARGS)

mutants: setup ## Change 100 decisions, one at a time, and check that the tests fail (ARGS="--seed 7")
	PYTHONPATH=scripts $(BIN)/python -m mutants $(ARGS)

recording: setup ## Draw docs/recording.svg, the picture of the README, from a demo
	$(BIN)/python scripts/recording.py

clean: ## Remove everything that the other targets made here
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .mutants_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
