# Every target does its own set-up. `make help` lists them.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
PIPENV_VERSION := 2026.10.3
VENV := .venv
BIN := $(VENV)/bin
# Pipenv lives in the environment that it fills, and reads no .env: the app does that itself.
PIPENV := VIRTUAL_ENV="$(CURDIR)/$(VENV)" PIPENV_VERBOSITY=-1 PIPENV_DONT_LOAD_ENV=1 PIPENV_PIPFILE="$(CURDIR)/Pipfile" \
          $(BIN)/python -m pipenv

# Nor does Flask read the .env of a parent folder.
export FLASK_SKIP_DOTENV := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-fast check format lint declared stack stack-test browser-test drill bench lock clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed ## Migrate, fill an empty development database, and run it all at HOST:PORT
	@$(BIN)/python -m flask --app wsgi prepare
	@exec $(BIN)/python -m flask --app wsgi up

test: $(VENV)/.installed-dev check ## Run the tests on SQLite and on PostgreSQL, and every check
	@echo "==> Tests on SQLite"
	@$(BIN)/python -m pytest -n auto --database=sqlite
	@echo "==> Tests on PostgreSQL"
	@$(BIN)/python -m pytest -n auto --database=postgresql
	@echo "==> Contract tests on plain SQLAlchemy, psycopg2 and Gunicorn"
	@$(BIN)/python -m pytest -n auto --database=postgresql --plain tests/contract
	@echo "==> All is well"

test-fast: $(VENV)/.installed-dev ## Run the quick tests on SQLite: less than a minute
	@$(BIN)/python -m pytest -n auto --database=sqlite -m "not slow"

check: $(VENV)/.installed-dev lint ## Lint, format, types, import direction, declared packages, lock file
	@echo "==> Lock file"
	@$(PIPENV) verify
	@echo "==> Dockerfile and Compose"
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

lint: $(VENV)/.installed-dev ## Lint, format, types, import direction, declared packages
	@echo "==> Lint and format"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> Types"
	@$(BIN)/mypy
	@echo "==> Import direction"
	@$(BIN)/lint-imports
	@echo "==> Declared packages"
	@$(MAKE) --no-print-directory declared

declared: $(VENV)/.installed-dev ## Find packages that are imported and not in the Pipfile, or in it and not imported
	@$(BIN)/python -c 'import sys, tomllib; pipfile = tomllib.load(open("Pipfile", "rb")); \
	  print(*(name for category in sys.argv[1:] for name in pipfile[category]), sep="\n")' packages otel sentry local \
	  >$(VENV)/declared.txt
	@$(BIN)/deptry .

format: $(VENV)/.installed-dev ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

stack: $(VENV)/.installed ## Run it as in production, behind Nginx, at STACK_PORT (8080); needs Debian's nginx-light
	@exec $(BIN)/python -m deploy.stack --port $(or $(STACK_PORT),8080)

stack-test: $(VENV)/.installed-dev ## Test it as in production: through Nginx, while it is reloaded, restarted and broken
	@$(BIN)/python -m pytest tests/stack

browser-test: $(VENV)/.installed-dev ## Test it from a page of another origin in headless Chromium; needs Debian's chromium
	@$(BIN)/python -m pytest tests/browser

drill: $(VENV)/.installed-dev ## Break one part of it after the other under load (5 minutes); ARGS=--only=redis, ARGS=--publish
	@$(BIN)/python -m deploy.drill $(ARGS)

bench: $(VENV)/.installed-bench ## Measure against peers; ARGS=--quick, ARGS=--publish, ARGS=growth, ARGS=load
	@$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.installed-dev ## Resolve the Pipfile anew and write Pipfile.lock
	@$(PIPENV) lock

clean: ## Remove the environment and all caches; instance/ and its database stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pipenv:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
	  "Error: Agora needs Python 3.11 or newer. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "==> Making the environment .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear $(VENV) || { echo "Error: $(PYTHON) cannot make environments. On Debian: apt install python3.11-venv" >&2; exit 1; }
	@echo "==> Installing Pipenv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)

$(VENV)/.installed: $(BIN)/pipenv Pipfile.lock
	@echo "==> Installing the locked packages (about a minute the first time)"
	@$(PIPENV) sync --categories="packages local"
	@touch "$@"

$(VENV)/.installed-dev: $(BIN)/pipenv Pipfile.lock
	@echo "==> Installing the locked packages and the tools (about a minute the first time)"
	@$(PIPENV) sync --categories="packages dev-packages local"
	@touch "$@" $(VENV)/.installed

$(VENV)/.installed-bench: $(BIN)/pipenv Pipfile.lock
	@echo "==> Installing the locked packages, the tools and the peers (about two minutes the first time)"
	@$(PIPENV) sync --categories="packages dev-packages local bench"
	@touch "$@" $(VENV)/.installed $(VENV)/.installed-dev
