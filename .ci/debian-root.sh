#!/usr/bin/env bash
# Write a tar file of a small Debian with one version of Python: .ci/debian-root.sh trixie 3.13 FILE
set -euo pipefail

suite=${1:?a Debian suite} python=${2:?a version of Python} tar=${3:?a file}
mkdir -p "$(dirname "$tar")"
# A mirror may be some weeks old, but its packages are still signed.
mmdebstrap --format=tar --variant=minbase --include="ca-certificates,python$python,python$python-venv" \
    --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    "$suite" "$tar.part"
mv "$tar.part" "$tar"
