#!/bin/sh
# Deploy and manage this service: ./deploy.sh --help
set -eu
CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0" 2>/dev/null || echo "$0")")"
if ! [ -x .venv/bin/python ] || ! cmp -s requirements-deploy.txt .venv/requirements-deploy.txt; then
    check=deploy/check_python.py
    .venv/bin/python "$check" 2>/dev/null || python3 "$check" '{} -m venv --clear .venv'
    echo "Installing the deploy tool into .venv (first use, or its requirements changed)..." >&2
    # Create .venv if it does not exist, or if its Python is gone or not supported.
    .venv/bin/python "$check" 2>/dev/null || python3 -m venv --clear .venv
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null # uv creates .venv without pip
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-deploy.txt
    cp requirements-deploy.txt .venv/
fi
exec .venv/bin/python -m deploy "$@"
