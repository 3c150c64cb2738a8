# `make run` and `make test` need a Python and nothing else; what is missing is set up in $(VENV).
VENV ?= .venv
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
ifeq ($(strip $(PYTHON)),)
$(error no Python 3.11 or newer was found. fix: `apt install python3`, or name one: `make run PYTHON=/path/to/python3`)
endif

BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
SOURCES := provisioner tests tools $(wildcard benchmarks)

.PHONY: run test thorough coverage check catalog golden record e2e world bench wheel lock clean env env-dev

run: env
	@$(BIN)/provision --profile demo
	@$(BIN)/provision status

# Everything that this machine can run; what is missing here is named with its reason in the summary.
# Two at a time, since most of them wait for real components; each file stays with one of the two.
test: env-dev
	@$(PYTEST) --numprocesses 2 --dist loadfile $(PYTEST_ARGS); code=$$?; \
	[ -z "$(EXIT_CODE)" ] || echo $$code >"$(EXIT_CODE)"; exit $$code

# Every kill point, every failed call with every error, every example: an hour and a half, before a release.
thorough: env-dev
	@PROVISION_THOROUGH=yes $(PYTEST) $(PYTEST_ARGS)

coverage: env-dev
	@$(PYTEST) tests/unit --cov --cov-report=term $(PYTEST_ARGS)

check: env-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

env:
	@$(PYTHON) tools/bootstrap.py $(VENV)

env-dev:
	@$(PYTHON) tools/bootstrap.py --dev $(VENV)

# Compile the profiles, the hardware and the models into the two files that are loaded at start.
catalog: env-dev
	$(BIN)/python -m provisioner.profiles.compile

# Write the golden files anew; read the difference before it is committed.
golden: env-dev
	GOLDEN=write $(PYTEST) tests/unit -m "not slow" $(PYTEST_ARGS)

# Record this machine as a test case: `make record NAME=server-with-two-cards`.
record: env
	$(BIN)/provision detect --record tests/machines/$(NAME)

# Only the tests against real components, each of which must be there.
e2e: env-dev world
	PROVISION_REQUIRE=all $(PYTEST) -m e2e $(PYTEST_ARGS)

# Bring the real components up that the end-to-end tests drive; as root.
world:
	$(PYTHON) -m tools.world

bench: env-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/hashing.py
	$(BIN)/python benchmarks/planning.py

wheel: env
	$(BIN)/python -m hatchling build -t wheel

# Pin every package anew, with hashes and without the name of an index.
lock:
	tools/lock

clean:
	rm -rf $(VENV) dist build htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
