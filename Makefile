# The environment is .venv, made by python3 and pip alone; PYTHON=python3.12 picks another one.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Tests of one file stay together, since they share what the file's fixtures made.
WORKERS := -n 2 --dist loadfile

.PHONY: search test test-all bench lint format

search: $(READY)
	$(BIN)/nas-search

test: $(READY)
	$(BIN)/python -m pytest $(WORKERS)

test-all: $(READY)
	$(BIN)/python -m pytest $(WORKERS) -m "slow or not slow"

bench: $(READY)
	$(BIN)/python benchmarks/bench.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $(READY)
