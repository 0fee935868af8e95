# Everything is installed into this folder; Python 3.11 or newer and make are all that is needed.
#   make PYTHON=python3.13 …    another Python
#   make unit PYTEST='-k name'  options for pytest
#   make simulate SEEDS=5000    a longer campaign, on seeds never tried before
#   make simulate FIRST=7000000 the seeds from that one on
#   make bench QUICK=1          a rougher benchmark, within a few minutes
#   make accept PROBE=1         API calls only; QUOTA=1 spends a stream's key changes of a day, too
#   make accept PREFIX=name     how all that is made is called; YES=1 does not ask
#   make accept CLEAN=name      removes what a killed run of that name has left

PYTHON ?= python3
PYTEST ?=
SEEDS ?= 1000
FIRST ?=

VENV := .venv
EMULATOR_VENV := .local-aws/venv
PY := $(VENV)/bin/python
BENCH := .local-aws/bench
BENCH_TOOLS := $(VENV)/.bench-installed $(BENCH)/.installed
JSII := .local-aws/jsii
INSTALLED := $(VENV)/.installed $(EMULATOR_VENV)/.installed node_modules/.installed $(JSII)/.installed
SUITES := unit synth simulation local_aws package pages benchmarks

# npm, jsii and the CDK CLI look for node on the PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Where jsii unpacks the CDK, for all that runs here: see its rule.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/$(JSII)
# Another environment's packages must not stand in for ours.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
# Most of what is installed is never imported, and compiling it takes half of the time.
export PIP_NO_COMPILE := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

comma := ,
say = @echo "$(1)" >&2
conforms = $(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.$(1) $(2)

define check_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "$(PYTHON) is missing or older than 3.11: install a newer Python, or name one:" \
		"make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) has no venv or no pip: install them (Debian and Ubuntu:" \
		"apt install python3-venv), or name another Python: make PYTHON=… $(MAKECMDGOALS)" \
		>&2; exit 1; }
endef

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  make SUITE        one folder of tests: $(SUITES)"

# --- Installation ---------------------------------------------------------------------------------

.PHONY: install
install: $(INSTALLED) ## install all tools into this folder (the targets below do it themselves)

$(VENV)/.installed: requirements.txt requirements-dev.txt pyproject.toml
	$(check_python)
	$(call say,installing Python packages into $(VENV))
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Made anew each time: what a function could borrow from it is exactly what the file says.
$(EMULATOR_VENV)/.installed: requirements-local.txt
	$(check_python)
	$(call say,installing the AWS emulator into $(EMULATOR_VENV))
	@$(PYTHON) -m venv --clear $(EMULATOR_VENV)
	@$(EMULATOR_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-local.txt
	@touch $@

node_modules/.installed: package.json package-lock.json | $(VENV)/.installed
	$(call say,installing the CDK CLI$(comma) kinesis-mock and Graphviz into node_modules)
	@$(VENV)/bin/npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# Once, by one process: several that find it empty unpack it at the same time, and wait for each
# other for minutes.
$(JSII)/.installed: $(VENV)/.installed
	$(call say,unpacking the CDK into $(JSII))
	@$(PY) -c 'import aws_cdk'
	@touch $@

$(VENV)/.bench-installed: requirements-bench.txt $(VENV)/.installed
	$(call say,installing what the benchmark needs into $(VENV))
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# What the peers' functions need, where only the benchmark finds it.
$(BENCH)/.installed: benchmarks/package.json benchmarks/package-lock.json | $(VENV)/.installed
	$(call say,installing what the peers of the benchmark need into $(BENCH))
	@mkdir -p $(BENCH)
	@cp benchmarks/package.json benchmarks/package-lock.json $(BENCH)
	@cd $(BENCH) && npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# --- Seeing it work -------------------------------------------------------------------------------

.PHONY: demo
demo: install ## the whole story on a local AWS: deploy, switch keys, refuse a bad key, destroy
	@$(PY) -m local_aws.demo

.PHONY: accept
accept: install ## ask the AWS account of this shell's credentials whether it is as assumed
	@$(PY) -m acceptance $(if $(PREFIX),--prefix '$(PREFIX)') $(if $(PROBE),--probe) \
		$(if $(QUOTA),--quota) $(if $(YES),--yes) $(if $(CLEAN),--clean '$(CLEAN)')

.PHONY: local-up
local-up: install ## start a local AWS for your own cdk deploy: eval "$(make -s local-up)"
	@$(PY) -m local_aws up

.PHONY: local-down
local-down: install ## stop it
	@$(PY) -m local_aws down

# --- Checks ---------------------------------------------------------------------------------------

# As many files at once as keep two cores busy although what is deployed waits most of the time; each
# worker has a local AWS of its own. What takes longest begins first.
WORKERS := -n 5 --dist loadscope --no-loadscope-reorder
LONGEST := $(patsubst %,tests/local_aws/test_%.py,accept_story least_privilege guard key_switch \
	interruptions failures lifecycle accept_probe)
DEPLOYED := $(LONGEST) $(filter-out $(LONGEST),$(wildcard tests/local_aws/test_*.py))
OTHERS := $(addprefix tests/,$(filter-out local_aws,$(SUITES)))

.PHONY: test
test: ## lint, types and all tests
	@$(MAKE) --no-print-directory --jobs lint types tests

.PHONY: tests
tests: install
	@$(PY) -m pytest -ra $(WORKERS) -m 'not release' $(DEPLOYED) $(OTHERS) $(PYTEST)

.PHONY: lint
lint: $(VENV)/.installed ## ruff: rules and format; zizmor and schemas: the workflows
	@$(PY) -m ruff check --quiet
	@$(PY) -m ruff format --quiet --check
	@$(VENV)/bin/zizmor --offline --no-progress --quiet --strict-collection --persona=pedantic .github
	@$(call conforms,github-workflows,.github/workflows/*.yml)
	@$(call conforms,github-issue-forms,.github/ISSUE_TEMPLATE/*.yml)
	@$(call conforms,dependabot,.github/dependabot.yml)

.PHONY: types
types: $(VENV)/.installed ## mypy, strict
	@$(PY) -m mypy

.PHONY: $(SUITES)
$(SUITES): install
	@$(PY) -m pytest -ra $(WORKERS) -m 'not release' tests/$@ $(PYTEST)

.PHONY: simulate
simulate: install ## a campaign of simulated lifecycles on new seeds: SEEDS=1000 FIRST=
	@$(PY) -m tests.simulation.campaign --seeds $(SEEDS) $(if $(FIRST),--first $(FIRST)) \
		--workers 2 --out build/simulation/summary.json

.PHONY: simulate-guard
simulate-guard: install ## the same of the guard
	@$(PY) -m tests.simulation.guard.campaign --seeds $(SEEDS) --workers 2 \
		$(if $(FIRST),--first $(FIRST)) --out build/simulation/guard.json

.PHONY: docs
docs: install ## write the generated parts of docs/
	@PYTHONPATH=lambda $(PY) docs/generate_behavior.py
	@$(PY) docs/generate_api.py
	@$(VENV)/bin/node docs/generate_pictures.cjs

.PHONY: bench
bench: install $(BENCH_TOOLS) ## the peers and us side by side: figures, plots, docs/performance.md
	@QUICK=$(QUICK) $(PY) -m benchmarks

# --- Releasing ------------------------------------------------------------------------------------

.PHONY: template
template: install ## the function as a CloudFormation template in build/template/
	@$(PY) -m template

# Times inside the archives are the commit's, so that anybody can build the same bytes from it.
.PHONY: dist
dist: install ## sdist and wheel in dist/, built reproducibly and checked
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
		$(PY) -m build --no-isolation --outdir dist >/dev/null
	@$(PY) -m twine --no-color check --strict dist/*
	@DIST=dist $(PY) -m pytest -ra -m 'not release' tests/package $(PYTEST)

.PHONY: release-check
release-check: dist ## what only a release needs: dist/ installed elsewhere, every Lambda runtime
	@DIST=dist $(PY) -m pytest -ra -n 2 --dist loadscope -m release $(PYTEST)

# --- Cleaning up ----------------------------------------------------------------------------------

.PHONY: clean
clean: ## remove what builds, tests and runs leave; what is installed stays
	@test ! -e .local-aws/up.json || $(PY) -m local_aws down
	@rm -rf build dist cdk.out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -not -path './.local-aws/*' \
		-not -path './node_modules/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## also remove what is installed
	@rm -rf $(VENV) .local-aws node_modules
