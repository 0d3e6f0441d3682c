#!/usr/bin/env bash
# A container engine for the tests of real images on a bare Debian machine, as root:
#   .ci/engine.sh up DIR     installs and starts it, makes Lambda's base images, writes DIR/environment to source
#   .ci/engine.sh down DIR   stops it
# What takes long (Debian roots, image layers) stays in .cache/engine for the next run.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
template=$(dirname "$here")
step=${1:?up or down} run=$(realpath "${2:?a folder}") python=${3:-}
cache=$template/.cache/engine
# The Debian that has this Python, the template's default first. None has 3.12, and only sid has 3.15.
declare -A debian=([3.13]=trixie [3.14]=forky [3.15]=sid)
pythons=(3.13 3.14 3.15)
# Debian's own client: another docker may come first in PATH.
export CONTAINERS_CONF="$run/containers.conf" CONTAINERS_STORAGE_CONF="$run/storage.conf"
export PATH="$run/bin:$PATH" DOCKER_HOST="unix://$run/docker.sock" DOCKER_BUILDKIT=1 DEBIAN_FRONTEND=noninteractive

up() {
    if [[ $(id -u) != 0 ]]; then
        echo "engine: needs root" >&2
        return 1
    fi
    mkdir -p "$run/bin" "$cache"
    ln -sf /usr/bin/docker "$run/bin/docker"
    part packages
    part daemon
    part emulator
    local others=() other
    for other in "${pythons[@]:1}"; do
        part base "$other" &
        others+=($!)
    done
    part base "${pythons[0]}"
    for other in "${others[@]}"; do
        wait "$other" || echo "engine: tests of that Python's images will be SKIPPED, not passed" >&2
    done
    # shellcheck disable=SC2016
    printf 'export PATH=%q:$PATH DOCKER_HOST=%q DOCKER_BUILDKIT=1\n' "$run/bin" "$DOCKER_HOST" >"$run/environment"
    if part podman_engine; then
        printf 'export CONTAINERS_CONF=%q CONTAINERS_STORAGE_CONF=%q\n' "$CONTAINERS_CONF" "$CONTAINERS_STORAGE_CONF" \
            >>"$run/environment"
    else
        echo "engine: tests of Podman will be SKIPPED, not passed" >&2
    fi
}

# In a process of its own, so that any failing line ends it (bash forgets -e inside a condition).
part() {
    local begun=$SECONDS log="$run/$1${2:-}.log"
    if ! "$0" "$1" "$run" "${2:-}" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        echo "engine: $* FAILED" >&2
        return 1
    fi
    echo "engine: $* ($((SECONDS - begun))s)"
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

# The Runtime Interface Emulator of AWS is part of the wheel of aws-sam-cli.
emulator() {
    [[ -f $cache/aws-lambda-rie ]] && return 0
    local arch
    arch=$(uname -m)
    python3 -m pip download -q --no-deps -d "$run/wheel" aws-sam-cli
    python3 - "$run"/wheel/*.whl "samcli/local/rapid/aws-lambda-rie-${arch/aarch64/arm64}" "$cache/aws-lambda-rie" <<'PY'
import sys, zipfile
wheel, member, target = sys.argv[1:]
open(target, "wb").write(zipfile.ZipFile(wheel).read(member))
PY
}

base() {
    local context="$run/base$python"
    root
    mkdir -p "$context"
    cp "$here"/lambda-base/* "$cache/aws-lambda-rie" "$context/"
    docker build --build-arg "ROOT=debian-root:$python" --build-arg "PYTHON=python$python" \
        -t "$(base_image "$python")" "$context"
}

# The name of AWS's base image of a Python, from the data of the template.
base_image() {
    python3 - "$template/cookiecutter.json" "$1" <<'PY'
import json, sys
file, version = sys.argv[1:]
print(json.load(open(file))["_python_versions"][version]["base_image"])
PY
}

root() {
    local machine="$run/machine$python" tar="$cache/${debian[$python]}.tar"
    if [[ ! -f $tar ]]; then "$here/debian-root.sh" "${debian[$python]}" "$python" "$tar"; fi
    docker image inspect "debian-root:$python" >/dev/null 2>&1 && return 0
    # pip and uv inside an image reach their registry as pip on this machine does: same certificates, same settings.
    mkdir -p "$machine/etc/ssl/certs"
    cp "${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}" "$machine/etc/ssl/certs/ca-certificates.crt"
    {
        echo "[global]"
        echo "cert = /etc/ssl/certs/ca-certificates.crt"
        for key in index-url proxy trusted-host timeout; do
            if value=$(pip_setting "$key"); then echo "$key = $value"; fi
        done
    } >"$machine/etc/pip.conf"
    if value=$(pip_setting index-url); then
        mkdir -p "$machine/etc/uv"
        printf '[[index]]\nurl = "%s"\ndefault = true\n' "$value" >"$machine/etc/uv/uv.toml"
    fi
    docker import "$tar" "debian-root:bare-$python"
    printf 'FROM debian-root:bare-%s\nCOPY . /\nENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n' "$python" |
        docker build -q -t "debian-root:$python" -f - "$machine"
}

# Podman next to Docker, with a store of its own that has the base image of the template's default Python.
podman_engine() {
    if [[ ! -x /usr/bin/podman ]]; then
        apt-get install -y --no-install-recommends podman containernetworking-plugins iptables
    fi
    # Podman's own limits are higher than those of some virtual machines.
    cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
    cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "overlay"
graphroot = "$cache/podman"
runroot = "$run/podman"
CONF
    docker save "$(base_image "${pythons[0]}")" | podman load
}

pip_setting() {
    local name="PIP_${1//-/_}"
    name=${name^^}
    if [[ -n ${!name:-} ]]; then echo "${!name}"; else python3 -m pip config get "global.$1" 2>/dev/null; fi
}

down() {
    local pid
    if [[ -f $run/docker.pid ]]; then
        pid=$(cat "$run/docker.pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 300); do # dockerd waits up to 15 s for running containers
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    # Podman leaves its store mounted.
    if mountpoint -q "$cache/podman/overlay"; then umount "$cache/podman/overlay" || true; fi
    # dockerd leaves this one mounted when a container shared the machine's network.
    if mountpoint -q "$run/exec/netns/default"; then umount "$run/exec/netns/default" || true; fi
}

"$step"
