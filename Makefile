# Two commands do everything on a fresh machine with Python >= 3.11: `make run` and `make test`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help install dev run demo test test-debian test-cluster cluster image sbom lint format bench fuzz crash planted million resend network soak recipes lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## make the virtual environment from the hash-locked file

dev: $(VENV)/.dev ## the same with what tests and linters need

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "cloakroom needs Python 3.11 or newer; none was found (set PYTHON=...)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.installed
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

run: install ## start a node here: AE title CLOAKROOM, port 11112, everything under ./var
	@exec $(BIN)/cloakroom serve

demo: install ## a node, a made-up patient's head study sent to it, and what became of it
	@exec $(BIN)/cloakroom demo

# Side by side: most of a test's time is a node's start, or a wait for it to be quiet (TESTS=-n0: one after the other).
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: dev ## all tests that need nothing but Python (TESTS=...: pytest's own arguments)
	$(PYTEST) $(TESTS)

test-debian: dev ## the tests that need Debian's programs (apt-get install age dcmtk dicom3tools file iproute2 iptables libgdcm-tools odil orthanc)
	$(PYTEST) -m debian $(TESTS)

$(VENV)/.cluster: requirements-cluster.lock $(VENV)/.dev
	$(PIP) install --require-hashes -r requirements-cluster.lock
	@touch $@

test-cluster: $(VENV)/.cluster ## the tests of image, chart, dashboards and status page (.ci/run names what they need)
	$(BIN)/python -m pytest -m cluster

cluster: dev ## write the chart's values, schema and README, the alerts and the dashboard
	$(BIN)/python -m cluster

image: ## build the image with buildah (IMAGE=name, BASE_IMAGE=base; BOOTSTRAP=1 without a registry)
	docker/image.sh

sbom: requirements.lock requirements-sbom.lock ## what the image holds, as CycloneDX, in dist/sbom.cdx.json, and docs/licences.md
	rm -rf dist/sbom && mkdir -p dist/sbom
	$(PYTHON) -m venv dist/sbom/build && $(PYTHON) -m venv dist/sbom/tool
	dist/sbom/build/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements.lock
	dist/sbom/build/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation .
	dist/sbom/build/bin/python docker/assemble.py dist/sbom/build dist/sbom/root
	dist/sbom/tool/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-sbom.lock
	dist/sbom/tool/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
		--output-file dist/sbom.cdx.json dist/sbom/root/bin/python3
	$(PYTHON) -m cluster.licences dist/sbom.cdx.json docs/licences.md
	rm -rf dist/sbom

lint: dev ## formatter, ruff, mypy --strict, layering, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: dev ## let the formatter have its way
	$(BIN)/ruff format .

bench: dev ## figures on this machine as ratios to peers, into docs/performance.md (about half an hour; QUICK=1: some minutes)
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(BENCH)

fuzz: dev ## mutated data sets and conversations with a real node (WALKS=1000000, CONVERSATIONS=100000, SEED=1)
	$(BIN)/python tests/fuzz/walk.py $(or $(WALKS),1000000) $(or $(SEED),1)
	$(BIN)/python tests/fuzz/talk.py $(or $(CONVERSATIONS),100000) $(or $(SEED),1)

crash: dev ## kill -9 at every failpoint, and power cuts, which need root (KILLS=10000, CUTS=200, SEED=1)
	$(BIN)/python tests/crash/campaign.py --kills $(or $(KILLS),10000) --cuts $(or $(CUTS),200) --seed $(or $(SEED),1)

network: dev ## associations cut off by a line that goes down, loses packets, crawls or resets (root; CUTS=1000, SEED=1)
	$(BIN)/python tests/crash/network.py --cuts $(or $(CUTS),1000) --seed $(or $(SEED),1)

planted: dev ## a stolen disk: people planted in PLANTED=10000 instances, half of them failing, are nowhere on it (root; SEED=1)
	$(BIN)/python tests/crash/thief.py --instances $(or $(PLANTED),10000) --seed $(or $(SEED),1)

million: dev ## how long a start takes that looks at a million rows and files; fails above 5 s (ROWS=1000000)
	$(BIN)/python tests/crash/million.py $(or $(ROWS),1000000)

resend: dev ## re-sends in random order, three in ten cut off, at a real node (SENDS=100000, SEED=1)
	$(BIN)/python tests/crash/resend.py --sends $(or $(SENDS),100000) --seed $(or $(SEED),1)

soak: dev ## a node at seven tenths of its rate with one fault in a hundred; memory, descriptors, threads (MINUTES=60, SEED=1)
	$(BIN)/python tests/crash/soak.py --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1) $(if $(PICTURE),--picture $(PICTURE))

recipes: dev ## write the recipes that follow PS3.15 from its tables
	$(BIN)/python -m scp.deidentify.generate

lock: ## renew both lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--group build pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--constraints requirements.lock --group build --group dev pyproject.toml --output-file requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--constraints requirements-dev.lock --group cluster --output-file requirements-cluster.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--group sbom --output-file requirements-sbom.lock

clean: ## remove the virtual environment and caches; ./var stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
