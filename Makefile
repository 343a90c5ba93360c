# Two targets do everything: `make demo` shows Gauger at work, `make test` checks all of it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := UV_PYTHON_DOWNLOADS=never $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-annotate --no-emit-index-url --custom-compile-command "make lock"

.PHONY: demo test lint lock clean

demo: $(VENV)/.installed
	$(BIN)/gauger demo

# What CI runs: format, lint, types, import directions, Dockerfile, tests.
test: lint
	$(BIN)/pytest -n 2

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

# The lock files pin every package by version and hash; `make lock` renews them.
$(VENV)/.installed: pyproject.toml requirements.dev.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

lock:
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra demo --group dev --output-file requirements.dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
