# `make audit` is the first look, `make check` the fast part of the tests, `make test` all of them.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
GPU_VENV := .venv-gpu
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help audit test check check-static compiled gate fuzz bench gpu-check docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

audit: $(VENV)/.local  ## install, then audit the demo model: demo.costaudit and demo.html
	@rm -f demo.costaudit demo.costaudit-wal demo.costaudit-shm demo.html
	$(BIN)/costaudit profile demo -o demo.costaudit --html demo.html

test: $(VENV)/.dev  ## install what the tests need, then run the whole suite
	@.ci/system-parts.sh
	$(BIN)/python tests/parts/install.py models vllm transformers triton prometheus
	$(BIN)/python tests/suite.py

check: $(VENV)/.dev check-static  ## lint, types, floors and the fast tests
	$(BIN)/python -m pytest -n logical --maxprocesses 4 -m "not slow and not browser and not gpu"

check-static: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Two workers that meet code which nobody compiled yet would compile it twice.
compiled: $(VENV)/.dev
	$(BIN)/costaudit doctor --compile >/dev/null

gate: $(VENV)/.local  ## record the demo and hold its counters against the stored baseline
	$(BIN)/costaudit profile demo --dtype float32 -o gate.costaudit --force >/dev/null
	$(BIN)/costaudit gate gate.costaudit --budget .ci/gate/budget.toml --baseline .ci/gate/baseline.json

fuzz: $(VENV)/.dev  ## a million damaged metric pages: nothing but our own errors comes out
	$(BIN)/python bench/exposition_fuzz.py

bench: $(VENV)/.dev  ## run each benchmark on its own data; bench/README.md says what they show
	@for script in bench/*.py; do \
	  case $$script in \
	    bench/steptime.py) table=bench/data/silicon_serving.csv ;; \
	    bench/simulate.py) table="--synthetic 1000000" ;; \
	    bench/clients.py) table=--quick ;; \
	    bench/predict_vllm.py) table=bench/changes/full.toml ;; \
	    bench/exposition_fuzz.py) table="--mutations 50000" ;; \
	    bench/diagnose_slowdown.py) table=--vllm ;; \
	    bench/gpu_check.py) continue ;; \
	    *) table= ;; esac; \
	  echo "== $$script $$table"; $(BIN)/python $$script $$table || exit 1; \
	done

# A machine with a GPU has its torch already, which an own environment would only download again.
gpu-check:  ## on a Hopper GPU or newer: what it says of itself beside costaudit
	@$(PYTHON) bench/gpu_check.py --look
	@$(MAKE) --no-print-directory $(GPU_VENV)/.ready
	$(GPU_VENV)/bin/python bench/gpu_check.py

$(GPU_VENV)/.ready: pyproject.toml
	@$(PYTHON) -m venv --system-site-packages $(GPU_VENV)
	@$(GPU_VENV)/bin/python -m pip --disable-pip-version-check --no-input -qq install -e '.[local]'
	@touch $@

docs: $(VENV)/.dev  ## after `make audit`: quote that audit in the documentation, with pictures of pages
	$(BIN)/costaudit report demo.costaudit --format json -o docs/sample.json
	$(BIN)/python docs/generate.py --picture

clean:  ## remove what the other targets left, .venv included
	rm -rf $(VENV) $(GPU_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -f demo.costaudit demo.costaudit-wal demo.costaudit-shm demo.html

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "costaudit needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }

# A stamp is older than a change of what is installed or compiled, and pip runs again.
INSTALLED := pyproject.toml constraints.txt hatch_build.py \
  $(wildcard costaudit/record/client/native/*)

$(VENV)/.local: $(INSTALLED) | $(BIN)/python
	@echo "installing costaudit, torch and transformers into $(VENV): once, a few minutes"
	@$(PIP) install -c constraints.txt -e '.[local]'
	@$(BIN)/python -m compileall -q costaudit  # a start-up takes half the time
	@$(BIN)/costaudit doctor --compile >/dev/null || true  # without it, plans are interpreted
	@touch $@

$(VENV)/.dev: $(INSTALLED) | $(BIN)/python
	@echo "installing costaudit and what its tests need into $(VENV): once, a few minutes"
	@$(PIP) install -c constraints.txt -e '.[local,dev]'
	@$(BIN)/python -m compileall -q costaudit
	@touch $@ $(VENV)/.local
