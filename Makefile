# The series in one command each. PYTHON=python3.12 picks the interpreter, PRESET=smoke|laptop|gpu the size of the runs,
# TORCH=cpu PyTorch's small CPU build. Without make: the same as plain commands is in the README.

PYTHON ?=
PRESET ?=
TORCH ?=
ONLY ?=

export PYTHON TORCH

# .venv is made from PYTHON, else from the first of these that colorlib supports; where there is none, python3 says so
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
PYTHONS := python3 python3.13 python3.12 python3.11 python3.10 python
FOUND = $(shell for python in $(PYTHONS); do $$python -c "$(SUPPORTED)" 2>/dev/null && echo $$python && break; done)
SETUP = "$(or $(PYTHON),$(FOUND),python3)" scripts/setup_env.py
VENV := .venv/bin
JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PREFER_ENV_PATH

.PHONY: help lab run site studio test lint notebooks handouts bench race wheelhouse clean

help:
	@echo "make lab         set up, then open JupyterLab on notebook 00"
	@echo "make run         set up, execute every notebook, write build/site/index.html"
	@echo "make site        set up, write the same pages from the committed outputs, in a minute"
	@echo "make studio      set up, open the interactive colorizer as a page, for this machine alone (PORT=8866)"
	@echo "make test        set up, run the tests and every notebook at preset smoke"
	@echo "make lint        set up, check style, spelling, links and the form of the notebooks"
	@echo "make notebooks   re-execute the series at preset laptop: committed outputs and data/results (ONLY=04: one)"
	@echo "make handouts    set up, write a notebook of each chapter without answers and outputs (ONLY=04: one)"
	@echo "make bench       set up, run the benchmarks side by side"
	@echo "make race        set up, train three colorizers side by side for hours (PHOTOS=folder, SECONDS_EACH=7200)"
	@echo "make wheelhouse  download all packages into wheelhouse/, for a class without network"
	@echo "make clean       remove .venv, build/ and the caches; keeps downloads of data and wheelhouse/"
	@echo
	@echo "PYTHON=python3.12 picks the interpreter, PRESET=smoke|laptop|gpu the size, TORCH=cpu the small PyTorch."

lab:
	@$(SETUP)
	@JUPYTER_CONFIG_PATH=scripts/jupyter $(if $(PRESET),COLORLIB_PRESET=$(PRESET)) $(VENV)/jupyter lab notebooks

run:
	@$(SETUP) --extras notebooks,site
	@$(VENV)/python scripts/build_site.py $(if $(PRESET),--preset $(PRESET))

site:
	@$(SETUP) --extras notebooks,site
	@$(VENV)/python scripts/build_site.py --as-committed

studio:
	@$(SETUP) --extras notebooks,studio
	@$(VENV)/python scripts/studio.py $(if $(PORT),--port $(PORT))

test:
	@$(SETUP) --extras notebooks,site,studio,tests,heic,train
	@$(VENV)/python scripts/run_tests.py

lint:
	@$(SETUP) --extras notebooks,site,studio,tests,heic,train
	@$(VENV)/python -m pytest -q tests/test_upkeep.py tests/test_readme.py tests/notebooks/test_form.py

notebooks:
	@$(SETUP)
	@$(VENV)/python scripts/refresh_notebooks.py $(ONLY)

handouts:
	@$(SETUP)
	@$(VENV)/python scripts/handouts.py $(ONLY)

bench:
	@$(SETUP) --extras notebooks,bench
	@$(VENV)/python tests/benchmarks

race:
	@$(SETUP) --extras notebooks,bench
	@OMP_NUM_THREADS=1 COLORLIB_RESULTS=$(or $(COLORLIB_RESULTS),data/results) $(VENV)/python tests/benchmarks/race.py \
		$(if $(PHOTOS),--photos "$(PHOTOS)") --seconds $(or $(SECONDS_EACH),7200)

wheelhouse:
	@$(SETUP) --extras notebooks,site,studio,tests,heic,train --wheelhouse

clean:
	rm -rf .venv build .pytest_cache .hypothesis
	find colorlib scripts tests -name __pycache__ -prune -exec rm -rf {} +
