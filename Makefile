# The environment is .venv, made by python3 and pip alone; PYTHON=python3.12 picks another one.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Tests of one file stay together, since they share what the file's fixtures made.
WORKERS := -n 2 --dist loadfile

STORY := outputs/sweep/story

.PHONY: search story test test-all bench bench-quick lint docs format

search: $(READY)
	$(BIN)/nas-search experiment=mnist1d_evolution

# docs/story.md; it resumes where it was interrupted.
story: $(READY)
	if [ -d $(STORY) ]; then $(BIN)/nas-search resume=$(STORY); else $(BIN)/nas-search -m seed=0,1,2 \
		experiment=story/annealing,story/reinforce,story/nasnet,story/enas,story/darts,story/gdas \
		hydra/launcher=joblib hydra.launcher.n_jobs=2 hydra.sweep.dir=$(STORY); fi
	$(BIN)/nas-report $(STORY) --out $(STORY)/comparison.html
	$(BIN)/python benchmarks/story.py $(STORY) --picture $(STORY)/story.svg

test: $(READY)
	$(BIN)/python -m pytest $(WORKERS)

test-all: $(READY)
	$(BIN)/python -m pytest $(WORKERS) -m "slow or not slow"

bench: $(READY)
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/start.py --json benchmarks/results.json
	$(BIN)/python benchmarks/growth.py --few --rounds 1 --json benchmarks/results.json

bench-quick: $(READY)
	$(BIN)/python benchmarks/bench.py --quick --json outputs/bench_quick.json

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
