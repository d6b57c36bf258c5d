# Every habit of this project: `make help` lists them. Needs Python >= 3.11 and GNU make, nothing else.
#
# What is installed is locked: requirements/*.txt name every package with the hashes of its files for
# every platform, and pip refuses any other file. That includes hatchling, which builds consent-gate
# itself: it is installed from requirements/build.txt and used in place (--no-build-isolation), since
# a build in isolation would fetch whatever hatchling is newest, unpinned and unchecked. The package
# is installed as editable, so that a change in streams/, schemas/ or policies/ counts at once.
#
# A stamp in .venv says what is installed. It is older than a lock that was changed since, and then
# the lock is installed again; otherwise a second `make demo` installs nothing.

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps

# The first Python that is new enough. Name another: make PYTHON=/path/to/python3.12 ...
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	{ echo $$python; break; }; done)

# Options for the command that a target runs, as in: make demo ARGS=--stay
ARGS ?=

# The tests run two at once, each half on a Kafka of its own: most of their time is waiting. Not more,
# since some of them kill gates and brokers and want to be heard within seconds. A file is never
# divided, and files keep their order. One after the other: make test ARGS='-p no:xdist'
TWO_AT_ONCE = $(if $(findstring no:xdist,$(ARGS)),,-n 2 --dist loadfile --no-loadscope-reorder)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench soak format docs wheel lock clean

help: ## Say what can be done here
	@echo 'consent-gate. Targets:'
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Options are passed on with ARGS, as in: make demo ARGS=--stay'

demo: $(STAMPS)/demo ## Play a day with the case in it on a real Kafka (first run fetches 130 MB)
	$(BIN)/consent-gate demo $(ARGS)

test: $(STAMPS)/test ## Run the tests, those on the real Kafka too
	$(BIN)/python -m pytest -m "not soak" $(TWO_AT_ONCE) $(ARGS)

check: $(STAMPS)/check ## Run ruff, mypy --strict and the layer contracts, compare the dashboard
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python deploy/grafana/generate.py --check

bench: $(STAMPS)/demo ## Measure the gate against its floor, and what follows a STOP; see bench/results
	$(BIN)/python bench/gate.py $(ARGS)
	$(BIN)/python bench/replies.py

soak: $(STAMPS)/test ## Run the long tests
	$(BIN)/python -m pytest -m soak $(ARGS)

format: $(STAMPS)/check ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMPS)/check ## Write the pages that are made from the code
	$(BIN)/python -m streams.cli.reference
	$(BIN)/python -m streams.telemetry.document
	$(BIN)/python deploy/grafana/generate.py

wheel: $(STAMPS)/demo ## Build dist/consent_gate-*.whl, schemas and policies in it
	$(BIN)/hatchling build -t wheel

# One version of a package everywhere: check.txt holds every extra, and the others are held to it.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"
HELD := $(LOCK) --no-annotate -c requirements/check.txt

lock: $(STAMPS)/lock ## Bring requirements/*.txt in line with pyproject.toml (ARGS=--upgrade: newest)
	$(LOCK) $(ARGS) --annotation-style line pyproject.toml --extra check -o requirements/check.txt
	$(HELD) pyproject.toml --extra test -o requirements/test.txt
	$(HELD) pyproject.toml --extra demo -o requirements/demo.txt
	$(HELD) pyproject.toml --extra worker -o requirements/worker.txt
	$(HELD) pyproject.toml -o requirements/core.txt
	$(HELD) $(ARGS) requirements/build.in -o requirements/build.txt
	$(LOCK) $(ARGS) requirements/lock.in -o requirements/lock.txt

clean: ## Remove what was installed and built here; the jars cached for this user stay
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMPS)/demo $(STAMPS)/test $(STAMPS)/check: $(STAMPS)/%: requirements/%.txt requirements/build.txt pyproject.toml | $(STAMPS)
	@echo 'Installing what is new in requirements/$*.txt into $(VENV). On a first run that is about 90 MB.'
	$(BIN)/python -m pip install --require-hashes -r requirements/build.txt -r $<
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/lock: requirements/lock.txt | $(STAMPS)
	$(BIN)/python -m pip install --require-hashes -r $<
	@touch $@

$(STAMPS):
	@test -n "$(PYTHON)" || { echo 'No Python >= 3.11 here. Name one: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $@
