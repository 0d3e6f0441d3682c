#!/usr/bin/env bash
# Run `make test` on another Python, as root in a container that forbids user namespaces (Docker's default profile):
#   .ci/test-in-container.sh 3.15 [ARGUMENT...]
# The arguments are passed to pytest: names of files or folders, and options without blanks.
# It tests a clone of the last commit. The container has neither an engine nor a browser, so the tests that need them are
# skipped. It needs the engine: first run `.ci/engine.sh up DIR` and `source DIR/environment`.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:?the version of Python}
shift
image="test-container:$python"
folder=$(mktemp -d)
container=$(basename "$folder" | tr . -)
trap 'docker rm --force "$container" >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

docker build --quiet --build-arg "ROOT=debian-root:$python" --build-arg "PYTHON=$python" --tag "$image" .ci/test-container >/dev/null
if docker run --rm "$image" unshare --user true 2>/dev/null; then
    echo "ci: the container allows user namespaces, so it does not show that the tests work without them" >&2
    exit 1
fi
git clone --quiet . "$folder/template"
# In root's home, which other users cannot enter.
docker run --rm --init --name "$container" --volume "$folder/template:/root/template" --workdir /root/template "$image" \
    make test ARGS="$*"
