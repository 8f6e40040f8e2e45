# `make quickstart` and `make test` need nothing but this folder: the first step of both makes .venv (launchers/install/).
# PYTHON=/path/to/python3.11 make ...   chooses the Python; else a 3.11, 3.12 or 3.13 is looked for.

PYTHON ?=
PYTEST_ARGS ?=
# Two processes: many tests wait for a service more than they compute. A file's tests stay together (tests/conftest.py).
PYTEST_WORKERS ?= 2
WORKERS := -n $(PYTEST_WORKERS) --dist loadgroup
# Lines are counted in the fast tests only. On Python 3.11 counting costs half as much processor time again (26 s become
# 38 to 44 s in a sample of 272 tests, 2026-11-30), and the other tests are the long ones. `make test COVERAGE=` counts none.
COVERAGE ?= -m coverage run
CAMPAIGN ?= examples/quickstart.yaml
CHAOS_ARGS ?=
LEADERBOARD_ARGS ?=
export PYTHON

VENV := .venv/bin
MARKED := keras or mongo or gpaw or ray or slurm or browser
# Keras writes its configuration into the home folder unless it is told another.
RUN_ENV := KERAS_HOME="$(CURDIR)/.venv/keras"
# One thread for each calculation and each learning step: the tests start several processes.
TEST_ENV := $(RUN_ENV) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-run quickstart test lint format test-fast test-marked test-long coverage chaos leaderboard docs metrics clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with everything (Debian packages included, where root and apt-get are there)
	@sh launchers/install/setup.sh all

setup-run: ## make .venv with what a campaign needs: no tuning, no classical models, no test tools
	@sh launchers/install/setup.sh run

quickstart: setup-run ## run the example campaign to its end and print its table (about 9 minutes on 2 cores)
	@echo "[quickstart] campaign run $(CAMPAIGN)"
	@$(RUN_ENV) $(VENV)/campaign run $(CAMPAIGN)

test: setup ## everything that must pass: ruff, mypy, all tests but the long ones, the floor of the coverage
	@$(MAKE) --no-print-directory lint test-fast test-marked coverage

lint: setup ## ruff, mypy, and the words of the documentation (docs/words.txt)
	@echo "[lint] ruff check"
	@$(VENV)/ruff check
	@echo "[lint] ruff format --check"
	@$(VENV)/ruff format --check
	@echo "[lint] mypy"
	@$(VENV)/mypy
	@echo "[lint] words"
	@$(VENV)/python -m pytest -q tests/test_words.py

format: setup ## let ruff rewrite the files
	@$(VENV)/ruff check --fix
	@$(VENV)/ruff format

test-fast: setup ## the tests that train no network and start no database, no GPAW, no Ray, no SLURM
	@echo "[test] fast ones"
	@rm -f .coverage .coverage.*
	@$(TEST_ENV) $(VENV)/python $(COVERAGE) -m pytest -m "not ($(MARKED))" $(WORKERS) $(PYTEST_ARGS)
	@[ -z "$(COVERAGE)" ] || $(VENV)/coverage combine -q

test-marked: setup ## the tests with a real MongoDB, GPAW, Ray, SLURM
	@echo "[test] with real MongoDB, GPAW, Ray, SLURM"
	@$(TEST_ENV) $(VENV)/python -m pytest -m "($(MARKED)) and not long" $(WORKERS) $(PYTEST_ARGS)

test-long: setup ## the tests of several minutes each: campaigns through disasters, comparisons of whole campaigns
	@$(TEST_ENV) $(VENV)/python -m pytest -m long $(WORKERS) $(PYTEST_ARGS)

coverage: setup ## the share of lines that `make test-fast` ran last; below the floor in pyproject.toml it is an error
	@echo "[coverage] per cent of the lines (for each file: $(VENV)/coverage report --show-missing)"
	@[ -z "$(COVERAGE)" ] || $(VENV)/coverage report --format=total

chaos: setup ## let faults happen to small campaigns; CHAOS_ARGS="--seed 100 --minutes 60 --ways run,rapidfire,cluster"
	@$(RUN_ENV) $(VENV)/python benchmarks/chaos.py $(CHAOS_ARGS)

leaderboard: setup ## train and test every model on the open data set, write docs/explanation/leaderboard.md; LEADERBOARD_ARGS="--seeds 1 --quick"
	@$(RUN_ENV) $(VENV)/python -m benchmarks.leaderboard $(LEADERBOARD_ARGS)

docs: setup ## build the documentation into docs/_build/html; a warning (a broken link, too) is an error
	@$(VENV)/python -m sphinx -W --keep-going -n -E -q -b html docs docs/_build/html
	@echo "[docs] open docs/_build/html/index.html"

metrics: setup ## print how the code is laid out: folders, circles of imports, files on the way of `campaign run`
	@$(RUN_ENV) $(VENV)/python benchmarks/house.py --run $(CAMPAIGN)

clean: ## remove what tools left here; neither .venv nor results (runs/, mongodb/)
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist docs/_build
	@find campaign workflows esnet launchers tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
