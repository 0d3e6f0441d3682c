# Every target makes .venv on first use; the first of these that is Python 3.11 or newer is taken, or say PYTHON=...
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -e 's/:.*## /:/' | awk -F: '{printf "make %-12s  %s\n", $$1, $$2}'

demo: .venv/requirements.txt ## bake, deploy to the embedded AWS and call the URL; ARGS="endpoint=http_api" for answers, ENGINE=docker for a real image
	@.venv/bin/python -m tests.demo $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

serve: .venv/requirements.txt ## the same, kept up until Ctrl-C, and deployed again at Enter; PROJECT=../my-api for one of yours
	@.venv/bin/python -m tests.demo --serve $(if $(ENGINE),--engine $(ENGINE)) $(if $(PROJECT),--project $(PROJECT)) $(ARGS)

test: .venv/requirements.txt ## all tests, in every combination of options; ARGS="-k hostile" for some
	@.venv/bin/python -m pytest -n auto --maxschedchunk 1 $(ARGS)

test-faults: .venv/requirements.txt ## every fault at every call of every deploy, not only the sample that is in make test; takes hours
	@FAULTS=all .venv/bin/python -m pytest -n auto --maxschedchunk 1 tests/test_faults.py $(ARGS)

test-openapi: .venv/requirements.txt ## each operation of the deployed service asked 500 random questions instead of 3; two minutes
	@EXAMPLES=500 .venv/bin/python -m pytest tests/test_openapi.py $(ARGS)

test-github: .venv/requirements.txt ## the roles that GitHub deploys with, in every combination, not only the two in make test; four minutes
	@GITHUB_ROLES=all .venv/bin/python -m pytest -n auto --maxschedchunk 1 tests/test_github_role.py $(ARGS)

test-soak: .venv/requirements.txt ## 20,000 requests over 8 environments, by default and with the most options; two minutes
	@SOAK=20000 .venv/bin/python -m pytest tests/test_soak.py $(ARGS)

test-aws: .venv/requirements.txt ## one service on a real AWS account, with your credentials; asks first, and removes it; ARGS=--clean-up after a kill
	@.venv/bin/python -m tests.account $(ARGS)

bench: .venv/requirements.txt ## INIT, first and warm requests against what one would use instead, and the deploy's own time; ARGS="--rounds 5"; Linux
	@.venv/bin/python -m benchmarks.run $(ARGS)

transcript: .venv/requirements.txt ## docs/transcript.svg, the picture in the README, from a run of the demo
	@.venv/bin/python -m tools.transcript

lint: .venv/requirements.txt ## ruff and mypy on the template's own code
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

lock: .venv/requirements.txt ## newest versions of all dependencies, pinned with hashes, here and in the generated project
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m tools.lock

.venv/requirements.txt: requirements.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@echo "Installing what requirements.txt pins into .venv (first use, or it changed; takes about a minute)..." >&2
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@cp requirements.txt .venv/

.PHONY: help demo serve test test-faults test-github test-openapi test-soak test-aws bench transcript lint lock
