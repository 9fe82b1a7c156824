# make arena: virtual environment, requirements, the arena.   make test: the same for the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= workspace

.PHONY: arena test test-slow nightly soak lint audit starter schema pictures clean chromium nginx lock newest

arena: $(VENV)/.installed
	$(BIN)/python launch.py --home $(HOME_DIR) serve

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $$($(PYTHON) --version) is too old; install Python 3.11 or newer, or run make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt requirements.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c requirements.lock
	@touch $@

# The browser tests want a Chromium; where it can be installed (Debian, as root) it is, elsewhere they say why they skip.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; } || \
	  echo "note: no Chromium found and none could be installed; the browser tests will skip. Debian: apt-get install chromium"

# The same for the tests behind a reverse proxy.
nginx:
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx openssl >/dev/null; } || \
	  echo "note: no nginx found and none could be installed; the tests behind it will skip. Debian: apt-get install nginx openssl"

test: $(VENV)/.installed-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.installed-dev chromium nginx
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not nightly' -n 2 --dist loadfile

# Ten minutes of 50 raters with the studio open beside: memory, open handles, the log of writes, no vote lost.
soak: $(VENV)/.installed-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.soak --minutes 10

# What is too long for CI: one file at a time, so that what is measured has the machine to itself.
nightly: $(VENV)/.installed-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m nightly -s

audit: $(VENV)/.installed-dev
	$(BIN)/python -m tests.audit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

# Rebuild the starter models from nothing (fixed seed; about ten minutes on two cores).
starter: $(VENV)/.installed
	$(BIN)/python -m training.starter.recipe

# Every version anew, within what the requirements files pin (docs/decisions/0017).
lock: $(VENV)/.installed-dev
	$(BIN)/python -m docs.make_lock

# The newest of everything, nothing pinned but torch (a newer one may bring CUDA along: make newest TORCH=torch), in an
# environment of its own; what differs from the lock, then the tests. One file: make newest TESTS=tests/test_house.py
TORCH ?= $(shell grep '^torch==' requirements.txt)
newest: $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/newest
	sed -nE 's/^torch==.*/$(TORCH)/p; t; s/^([A-Za-z0-9][^= ]*)==.*/\1/p' requirements.txt requirements-dev.txt > $(VENV)/newest/wanted.txt
	$(VENV)/newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -r $(VENV)/newest/wanted.txt
	$(VENV)/newest/bin/python -m docs.make_lock --compare
	OMP_NUM_THREADS=1 $(VENV)/newest/bin/python -m pytest -n 2 --dist loadfile -rf $(TESTS)

schema: $(VENV)/.installed
	$(BIN)/python -m docs.make_schema

pictures: $(VENV)/.installed-dev chromium
	$(BIN)/python -m docs.make_pictures

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
