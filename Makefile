# Every target creates .venv on first use. It uses the first of these that pyproject.toml allows, or PYTHON=...
PYTHON ?= $(shell for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
	$$python $(CHECK_PYTHON) 2>/dev/null && echo $$python && exit; done; echo python3)
CHECK_VENV = .venv/bin/python -m pip --version >/dev/null 2>&1 && .venv/bin/python $(CHECK_PYTHON) 2>/dev/null
CHECK_PYTHON = "{{cookiecutter.project_slug}}/deploy/check_python.py"

# These tests run a sample in `make test`. Their docstrings describe the variables that `make test-all` sets.
LONG_TESTS = tests/service/test_soak.py tests/service/test_openapi.py tests/service/test_jobs.py \
	tests/deploy_tool/test_github_role.py tests/deploy_tool/test_faults.py

help: ## list all targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -e 's/:.*## /:/' | awk -F: '{printf "make %-16s  %s\n", $$1, $$2}'

demo: .venv/requirements.txt ## generate a project, deploy it to the embedded AWS and call its URL; ARGS="endpoint=http_api" for other answers, ENGINE=docker for real containers
	@.venv/bin/python -m scripts.demo $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

serve: .venv/requirements.txt ## run the demo until Ctrl-C, and deploy again when you press Enter; PROJECT=../my-api for an existing project
	@.venv/bin/python -m scripts.demo --serve $(if $(ENGINE),--engine $(ENGINE)) $(if $(PROJECT),--project "$(PROJECT)") $(ARGS)

test: .venv/requirements.txt ## run all tests in every combination of options; ARGS="-k rollback" for some of them
	@.venv/bin/python -m pytest -n auto --maxschedchunk 1 $(ARGS)

test-all: .venv/requirements.txt ## run the long tests, of which make test runs a sample; 25 minutes on 2 cores; FAULTS=all injects faults in all combinations, for hours
	@SOAK=20000 JOBS=2000 EXAMPLES=500 GITHUB_ROLES=all FAULTS=$(or $(FAULTS),ci) .venv/bin/python -m pytest -n auto --maxschedchunk 1 $(LONG_TESTS) $(ARGS)

test-conformance: .venv/requirements.txt ## run FastAPI's own tests through the Lambda handler, and compare the responses; 5 minutes; ARGS="endpoint=http_api" for other answers
	@.venv/bin/python -m scripts.conformance $(ARGS)

test-aws: .venv/requirements.txt ## deploy a service to a real AWS account, with your credentials, and delete it; asks first; ARGS=--clean-up to delete the resources of a killed run
	@.venv/bin/python -m scripts.acceptance_on_aws $(ARGS)

bench: .venv/requirements.txt ## compare cold starts and requests with other frameworks, and measure deploys; ARGS="--rounds 5"; Linux only
	@.venv/bin/python -m benchmarks.run $(ARGS)

transcript: .venv/requirements.txt ## record docs/transcript.svg, the picture in the README; needs Docker
	@.venv/bin/python -m scripts.transcript

lint: .venv/requirements.txt ## run ruff and mypy on the code of the template
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

lock: .venv/requirements.txt ## update all dependencies here and in the generated project, and pin them with hashes
	@PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m scripts.lock

FORCE:
.venv/requirements.txt: requirements.txt $(shell test -x .venv/bin/python || echo FORCE)
	@$(CHECK_VENV) || $(PYTHON) -c '' 2>/dev/null || { \
		echo "No Python found. Install one, or specify it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(CHECK_VENV) || $(PYTHON) $(CHECK_PYTHON) 'make $(MAKECMDGOALS) PYTHON={}'
	@echo "Installing requirements.txt into .venv (first use, or the file changed; takes about a minute)..." >&2
	@$(CHECK_VENV) || $(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@cp requirements.txt .venv/

.PHONY: help demo serve test test-all test-conformance test-aws bench transcript lint lock
