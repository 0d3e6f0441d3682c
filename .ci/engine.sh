#!/usr/bin/env bash
# A container engine for the tests of ENGINE=docker on a bare Debian machine, as root:
#   .ci/engine.sh up DIR     installs and starts it, makes the Lambda base image, writes DIR/environment to source
#   .ci/engine.sh down DIR   stops it
# What takes long (Debian root, image layers) stays in .cache/engine for the next run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
step=${1:?up or down} run=$(realpath "${2:?a folder}")
cache=$(dirname "$here")/.cache/engine
release=trixie # its Python is 3.13, the template's default
image=public.ecr.aws/lambda/python:3.13
# Debian's own client: another docker may come first in PATH.
export PATH="$run/bin:$PATH" DOCKER_HOST="unix://$run/docker.sock" DOCKER_BUILDKIT=1 DEBIAN_FRONTEND=noninteractive

up() {
    if [[ $(id -u) != 0 ]]; then
        echo "engine: needs root" >&2
        return 1
    fi
    mkdir -p "$run/bin" "$cache"
    ln -sf /usr/bin/docker "$run/bin/docker"
    local part begun
    for part in packages daemon root base; do
        begun=$SECONDS
        # A process of its own, so that any failing line ends it (bash forgets -e inside a condition).
        if ! "$0" "$part" "$run" >"$run/$part.log" 2>&1 </dev/null; then
            tail -n 20 "$run/$part.log" >&2
            echo "engine: $part failed" >&2
            return 1
        fi
        echo "engine: $part ($((SECONDS - begun))s)"
    done
    # shellcheck disable=SC2016
    printf 'export PATH=%q:$PATH DOCKER_HOST=%q DOCKER_BUILDKIT=1\n' "$run/bin" "$DOCKER_HOST" >"$run/environment"
}

packages() {
    if [[ ! -x /usr/sbin/dockerd || ! -x /usr/bin/docker-registry || ! -x /usr/bin/mmdebstrap ]]; then
        apt-get update
        apt-get install -y --no-install-recommends docker.io docker-registry mmdebstrap ca-certificates iptables
    fi
}

daemon() {
    # A registry behind a narrower network needs its frame size, or large downloads hang.
    local link mtu=1500
    link=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
    if [[ -n $link ]]; then mtu=$(<"/sys/class/net/$link/mtu"); fi
    /usr/sbin/dockerd --host "unix://$run/docker.sock" --data-root "$cache/data" --exec-root "$run/exec" \
        --pidfile "$run/docker.pid" --mtu "$mtu" >"$run/dockerd.log" 2>&1 </dev/null &
    for _ in $(seq 150); do
        docker info >/dev/null 2>&1 && return 0
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
    tail -n 20 "$run/dockerd.log"
    return 1
}

root() {
    local tar="$cache/$release.tar"
    if [[ ! -f $tar ]]; then
        mmdebstrap --format=tar --variant=minbase --include=ca-certificates,python3,python3-venv "$release" "$tar.part"
        mv "$tar.part" "$tar"
    fi
    docker image inspect debian-root >/dev/null 2>&1 && return 0
    # pip inside an image reaches its registry as pip on this machine does: same certificates, same settings.
    mkdir -p "$run/machine/etc/ssl/certs"
    cp "${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}" "$run/machine/etc/ssl/certs/ca-certificates.crt"
    {
        echo "[global]"
        echo "cert = /etc/ssl/certs/ca-certificates.crt"
        for key in index-url proxy trusted-host timeout; do
            if value=$(pip_setting "$key"); then echo "$key = $value"; fi
        done
    } >"$run/machine/etc/pip.conf"
    docker import "$tar" debian-root:bare
    printf 'FROM debian-root:bare\nCOPY . /\nENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n' |
        docker build -q -t debian-root -f - "$run/machine"
}

pip_setting() {
    local name="PIP_${1//-/_}"
    name=${name^^}
    if [[ -n ${!name:-} ]]; then echo "${!name}"; else python3 -m pip config get "global.$1" 2>/dev/null; fi
}

base() {
    local context="$run/base" arch
    arch=$(uname -m)
    mkdir -p "$context"
    cp "$here"/lambda-base/* "$context/"
    # AWS's own emulator ships inside the aws-sam-cli wheel.
    if [[ ! -f $cache/aws-lambda-rie ]]; then
        python3 -m pip download -q --no-deps -d "$run/wheel" aws-sam-cli
        python3 - "$run"/wheel/*.whl "samcli/local/rapid/aws-lambda-rie-${arch/aarch64/arm64}" "$cache/aws-lambda-rie" <<'PY'
import sys, zipfile
wheel, member, target = sys.argv[1:]
open(target, "wb").write(zipfile.ZipFile(wheel).read(member))
PY
    fi
    cp "$cache/aws-lambda-rie" "$context/"
    docker build -t "$image" "$context"
}

down() {
    local pid
    if [[ -f $run/docker.pid ]]; then
        pid=$(cat "$run/docker.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    # dockerd leaves this one mounted when a container shared the machine's network.
    if mountpoint -q "$run/exec/netns/default"; then umount "$run/exec/netns/default"; fi
}

"$step"
