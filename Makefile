# Two targets do everything: `make demo` shows Gauger at work, `make test` checks all of it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := UV_PYTHON_DOWNLOADS=never $(BIN)/uv

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

# requirements.lock pins every package by version and hash; `make lock` renews it.
$(VENV)/.installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	touch $@

lock:
	$(UV) pip compile --quiet --universal --python-version 3.11 --extra demo --group dev \
	  --generate-hashes --no-annotate --no-emit-index-url --custom-compile-command "make lock" \
	  --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
