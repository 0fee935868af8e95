# Everything is installed into this folder; you only need Python 3.11 or newer and make.
#   make PYTHON=python3.13 …    use another Python
#   make unit PYTEST='-k name'  options for pytest
#   make simulate SEEDS=5000    a longer campaign, on new seeds
#   make simulate FIRST=7000000 start with that seed
#   make bench QUICK=1          a rough benchmark, in a few minutes
#   make accept PROBE=1         API calls only; QUOTA=1 also uses up the daily key changes of a stream
#   make accept PREFIX=name     prefix of all names; YES=1 does not ask
#   make accept CLEAN=name      remove what a killed run with that prefix left

PYTHON ?= python3
PYTEST ?=
SEEDS ?= 1000
FIRST ?=

VENV := .venv
EMULATOR_VENV := .local-aws/venv
PY := $(VENV)/bin/python
JSII := .local-aws/jsii
INSTALLED := $(VENV)/.installed $(EMULATOR_VENV)/.installed node_modules/.installed $(JSII)/.installed
SUITES := unit synth simulation local_aws package benchmarks
# Folders and files whose language is checked.
PROSE := .github .ci acceptance benchmarks constructs docs examples lambda local_aws simulated_aws \
	template tests README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md \
	Makefile package.json pyproject.toml requirements*.txt

# npm, jsii, and the CDK CLI find node on the PATH.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# jsii unpacks the CDK here, once: see the rule of this folder.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/$(JSII)
# Packages of another environment must not hide missing ones.
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
# Most modules are never imported, and compiling them takes half of the time.
export PIP_NO_COMPILE := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

comma := ,
progress = @echo "$(1)" >&2
conforms = $(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.$(1) $(2)

define check_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "$(PYTHON) is missing or older than 3.11: install a newer Python, or specify one:" \
		"make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) has no venv or no pip: install them (Debian and Ubuntu:" \
		"apt install python3-venv), or specify another: make PYTHON=… $(MAKECMDGOALS)" \
		>&2; exit 1; }
endef

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo "  make SUITE          run one folder of tests: $(SUITES)"

# --- Installation ---------------------------------------------------------------------------------

.PHONY: install
install: $(INSTALLED) ## install all tools into this folder (all targets do this)

$(VENV)/.installed: requirements.txt requirements-dev.txt pyproject.toml
	$(check_python)
	$(call progress,installing Python packages into $(VENV))
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Created from scratch each time: functions can import everything that is installed here.
$(EMULATOR_VENV)/.installed: requirements-local.txt
	$(check_python)
	$(call progress,installing the AWS emulator into $(EMULATOR_VENV))
	@$(PYTHON) -m venv --clear $(EMULATOR_VENV)
	@$(EMULATOR_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-local.txt
	@touch $@

node_modules/.installed: package.json package-lock.json | $(VENV)/.installed
	$(call progress,installing the CDK CLI and kinesis-mock into node_modules)
	@$(VENV)/bin/npm ci --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

# By one process: several that unpack at the same time wait for each other for minutes.
$(JSII)/.installed: $(VENV)/.installed
	$(call progress,unpacking the CDK into $(JSII))
	@$(PY) -c 'import aws_cdk'
	@touch $@

# --- Demo and local AWS ---------------------------------------------------------------------------

.PHONY: demo
demo: install ## on a local AWS: deploy, switch keys, reject a bad key, destroy; then the guard
	@$(PY) -m local_aws.demo

.PHONY: accept
accept: install ## check an AWS account, with this shell's credentials, against our assumptions
	@$(PY) -m acceptance $(if $(PREFIX),--prefix '$(PREFIX)') $(if $(PROBE),--probe) \
		$(if $(QUOTA),--quota) $(if $(YES),--yes) $(if $(CLEAN),--clean '$(CLEAN)')

.PHONY: local-up
local-up: install ## start a local AWS for cdk deploy: eval "$(make -s local-up)"
	@$(PY) -m local_aws up

.PHONY: local-down
local-down: install ## stop it
	@$(PY) -m local_aws down

# --- Checks ---------------------------------------------------------------------------------------

# Deployed stacks wait most of the time, so five workers keep two cores busy; each has its own local
# AWS. The slowest files start first.
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
lint: $(VENV)/.installed ## ruff: rules and format; codespell: language; zizmor: workflows
	@$(PY) -m ruff check --quiet
	@$(PY) -m ruff format --quiet --check
	@$(VENV)/bin/codespell $(PROSE)
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
simulate: install ## run simulated lifecycles on new seeds: SEEDS=1000 FIRST=
	@$(PY) -m tests.simulation.campaign --seeds $(SEEDS) $(if $(FIRST),--first $(FIRST)) \
		--workers 2 --out build/simulation/summary.json

.PHONY: simulate-guard
simulate-guard: install ## the same for the guard
	@$(PY) -m tests.simulation.campaign --guard --seeds $(SEEDS) --workers 2 \
		$(if $(FIRST),--first $(FIRST)) --out build/simulation/guard.json

.PHONY: docs
docs: install ## generate the generated parts of docs/
	@PYTHONPATH=lambda $(PY) docs/generate_behavior.py
	@$(PY) docs/generate_api.py

.PHONY: bench
bench: install ## measure alternatives side by side: docs/performance.md
	@QUICK=$(QUICK) $(PY) -m benchmarks

# --- Releasing ------------------------------------------------------------------------------------

.PHONY: template
template: install ## write the function as a CloudFormation template to build/template/
	@$(PY) -m template

# Archives contain the time of the commit, so that a build of the same commit has the same bytes.
.PHONY: dist
dist: install ## build sdist and wheel in dist/, reproducibly, and check them
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
		$(PY) -m build --no-isolation --outdir dist >/dev/null
	@$(PY) -m twine --no-color check --strict dist/*
	@DIST=dist $(PY) -m pytest -ra -m 'not release' tests/package $(PYTEST)

.PHONY: release-check
release-check: dist ## release tests: dist/ installed elsewhere, every Lambda runtime
	@DIST=dist $(PY) -m pytest -ra -n 2 --dist loadscope -m release $(PYTEST)

# --- Cleaning up ----------------------------------------------------------------------------------

.PHONY: clean
clean: ## remove build and test output; installed tools remain
	@test ! -e .local-aws/up.json || $(PY) -m local_aws down
	@rm -rf build dist cdk.out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -not -path './.local-aws/*' \
		-not -path './node_modules/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## also remove the installed tools
	@rm -rf $(VENV) .local-aws node_modules
