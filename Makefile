# The environment is .venv, made by python3 and pip alone; PYTHON=python3.12 picks another one.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Tests of one file stay together, since they share what the file's fixtures made.
WORKERS := -n 2 --dist loadfile

.PHONY: search test test-all bench lint docs format

search: $(READY)
	$(BIN)/nas-search experiment=mnist1d_evolution

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

# The site of docs/ into docs/.site; a warning is an error, those about docstrings as well.
docs: $(READY)
	$(BIN)/zensical build --strict --clean -f docs/zensical.toml > docs/.log 2>&1 || (cat docs/.log; false)
	! grep griffe: docs/.log

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $(READY)
