# Two commands matter: `make lab` opens the course, `make test` runs every test. `make help` lists the others.
#
# .venv is the environment; .venv/.ready is written once it holds exactly what requirements.txt pins.

SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready
PORT ?= 8888
ARGS ?=
PYTEST := $(BIN)/python -m pytest --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
	--numprocesses 3 --dist loadscope --no-loadscope-reorder

# The project's kernel and packages come before those of the user and of other projects.
export JUPYTER_PREFER_ENV_PATH := 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
# torch asks for megabytes in every operation, and the GNU C library would have the system clear new ones each time.
# It keeps what is freed, up to half a GiB: the forward passes of a convolutional network take little more than half the time.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 536870912

.DEFAULT_GOAL := help
.PHONY: help env lab hub test quick build site picture lint lock bench doctor clean packages

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

env: $(READY) ## fill .venv from requirements.txt (PYTHON=python3.12 chooses the Python of a new one)

# An environment that was interrupted, moved, copied or has lost its Python is not believed.
ifneq "$(shell $(BIN)/python -c pass 2>/dev/null && cat $(READY) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(READY)
endif
$(READY): requirements.txt pyproject.toml .ci/bootstrap
	@.ci/bootstrap

# Threads that spin while they wait slow training down several times where anything else runs, a browser for one:
# torch's sleep here, which costs a fifth where nothing does.
lab: env ## open the course in JupyterLab (PORT=9999 and ARGS="--no-browser" are handed on)
	@$(BIN)/course doctor --quiet --only kernel widgets nbgrader home
	@$(BIN)/jupyter trust notebooks/*.ipynb solutions/*.ipynb >/dev/null
	@OMP_WAIT_POLICY=$${OMP_WAIT_POLICY:-PASSIVE} JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter:$(CURDIR)/assessments" \
		$(BIN)/jupyter lab --port $(PORT) $(ARGS)

hub: env ## try the course on a JupyterHub of this machine, as instructor and as students (PORT=9999)
	@.ci/proxy
	@PORT=$(PORT) $(BIN)/jupyterhub --config hub/trial_config.py $(ARGS)

test: env packages ## run every test; the last line counts them
	@$(PYTEST) --cov=course_utils

# One part of the tests: make test-unit, test-notebook, test-browser, test-nbgrader.
test-%: env packages
	@$(PYTEST) -m $*

quick: env ## lint and the fast tests, within three minutes
	@CATALOGUE_SEEDS=4 $(PYTEST) -m "unit and not slow"

build: env ## make notebooks, solutions and nbgrader's sources from solutions/*.py
	@$(BIN)/course build $(ARGS)

site: env ## make build/site from the notebooks: pages that need neither kernel nor network
	@$(BIN)/course site $(ARGS)

picture: env ## make the README's picture anew, from the widget in JupyterLab
	@$(PYTEST) tests/browser/test_chapters.py
	@cp build/bottleneck.gif notebooks/bottleneck.gif

lint: env ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy course_utils

lock: env ## pin the dependencies of pyproject.toml anew (ARGS="--upgrade" takes newer versions)
	@.ci/lock $(ARGS)

bench: env ## race against peers, on a quiet machine: benchmarks/RESULTS.md (ARGS="--quick", ARGS="--minutes 10")
	@$(BIN)/python -m benchmarks $(ARGS)

doctor: env ## say what is missing or wrong on this machine, and what to do
	@$(BIN)/course doctor $(ARGS)

clean: ## remove what tests and tools leave behind; .venv stays
	@rm -rf build .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

packages:
	@.ci/packages
	@.ci/proxy || true
