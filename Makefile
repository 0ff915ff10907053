# One command each; `make` alone lists them. Stamp files under .venv keep the second call quick.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,\
    $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
VENV := .venv
BIN := $(VENV)/bin
# What benches measure against, apart from what the project needs.
PEERS := target/peers
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# PyO3's build script runs again whenever this changes: one value for every cargo call.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find rust build_backend -name target -prune -o \
    -type f \( -name '*.rs' -o -name 'Cargo.toml' -o -name '*.py' -o -name '*.sql' \) -print)
# A virtual environment knows its own path: one that was moved or copied here is made anew.
ifneq ($(shell cat $(VENV)/.root 2>/dev/null),$(CURDIR))
$(shell rm -f $(VENV)/.root)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo test lint test-rust test-python format parity bench bench-smoke property nightly fuzz \
    journal endurance wheel requirements clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.root:
	@requirements/check.sh $(PYTHON)
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@echo '$(CURDIR)' > $@

$(VENV)/.requirements: $(VENV)/.root requirements/build.txt requirements/dev.txt
	@echo "installing what requirements/ pins"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/dev.txt
	@touch $@

$(VENV)/.build: $(VENV)/.requirements $(SOURCES)
	@requirements/check.sh $(PYTHON)
	@echo "building AgentOS (the first time takes some minutes)"
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

build: $(VENV)/.build ## build it into .venv

demo: build ## do the main job on a sample: no key, no network
	@$(BIN)/agentos demo

test: lint test-rust test-python ## the whole test suite

lint: build ## formatters, linters and type checkers
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --concise --ignore-disjoint-bases agentos._kernel agentos.blocking

test-rust: build
	cargo test --quiet --locked --workspace --exclude agentos-bindings

test-python: build
	$(BIN)/python -m pytest

format: build ## put sources into the form that `make lint` asks for
	cargo fmt --all
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .

parity: build ## write docs/openfang-parity.md anew from the cases
	@$(BIN)/python -m tests.conformance.page

# Benches go on without a peer that cannot be installed, and say so.
$(PEERS)/.requirements: requirements/peers.txt
	@echo "installing what the benches measure against"
	@$(PYTHON) -m venv $(PEERS) && $(PEERS)/bin/python -m pip --disable-pip-version-check --quiet \
	    install --require-hashes -r requirements/peers.txt && touch $@ || echo "without peers"

bench: build $(PEERS)/.requirements ## measure against floors and peers, one line each
	@$(BIN)/python benches/run.py

bench-smoke: build ## a short slice of the benches, as the tests run it
	@$(BIN)/python benches/run.py --smoke

# The kernel alone, in release: overflow checks are on there too. The same calls each time.
CHECK_KERNEL := cargo test --quiet --locked --release -p agentos-kernel --

property: ## compare the kernel with naive models over 10^6 random calls each, and explore small worlds
	AGENTOS_RANDOM_CALLS=1000000 $(CHECK_KERNEL) reference_tests worlds_tests

nightly: ## the same over 10^7 random calls
	AGENTOS_RANDOM_CALLS=10000000 $(CHECK_KERNEL) reference_tests worlds_tests

fuzz: ## feed the kernel INPUTS (10^7) calls, facts and bytes out of thin air
	AGENTOS_FUZZ_INPUTS=$(or $(INPUTS),10000000) $(CHECK_KERNEL) fuzz_tests

journal: ## write the journal that tests keep anew, once there is another kind of fact
	AGENTOS_KEEP_JOURNAL=1 cargo test --quiet --locked -p agentos-kernel -- a_kept_journal

endurance: build ## kill and resume batches on a copy of REPO=FOLDER at random moments (SEED=N: the same again)
	@test -d "$(REPO)" || { echo "say whose files: make endurance REPO=FOLDER" >&2; exit 2; }
	@$(BIN)/python -m tests.endurance.batch_kills "$(REPO)" $(if $(SEED),--seed $(SEED))

wheel: $(VENV)/.requirements ## an abi3 wheel in dist/ that installs without Rust
	@requirements/check.sh $(PYTHON)
	@$(PIP) wheel --no-build-isolation --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

WINDOWS_ONLY := --no-emit-package colorama
requirements: ## pin requirements/*.in anew
	@$(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@for name in build dev peers; do \
	    inputs=requirements/$$name.in; [ $$name = dev ] && inputs="pyproject.toml $$inputs"; \
	    $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
	        --no-header --no-annotate --no-emit-index-url $(WINDOWS_ONLY) \
	        -o requirements/$$name.txt $$inputs; \
	done
	@rm -rf $(VENV)-lock

clean: ## remove what the commands above made
	rm -rf $(VENV) dist target build_backend/data .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f python/agentos/*.so
