# make train: a virtual environment, the install, the default training.
# make test, make lint: the same environment, with the test suite and the linters.
# EXTRAS=cuda13 (or cuda12) adds JAX for a GPU of NVIDIA: make train EXTRAS=cuda13
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
CONFIG ?= configs/depthnet.py
BIN = $(VENV)/bin
INSTALLED = $(VENV)/installed$(EXTRAS:%=-%)

.PHONY: train test lint clean

train: $(INSTALLED)
	$(BIN)/python launch.py --config $(CONFIG)

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

$(INSTALLED): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt $(EXTRAS:%=-e ".[%]")
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV)
