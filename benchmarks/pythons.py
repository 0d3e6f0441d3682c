"""The versions of Python that run the subjects, and where they come from.

All versions come from the same kind of source, because the options of the compiler matter: the imports of the seed take
1.2 times the CPU time on a Python 3.13 without profile-guided optimization. Either all versions are installed on this
machine, or all of them are Debian's. The latter are the files of a root directory that mmdebstrap creates. They run in
place, with the dynamic linker and the libraries of that Debian. This takes as much CPU time as the same Python in a
chroot (within 1 %).
"""

import platform
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.common import CACHE, CommandError, layers, run, say
from embedded_aws.containers.layers import digest
from scripts.projects import TEMPLATE

VERSIONS = ("3.13", "3.15")  # The first one runs all subjects: it is the default of the template.
DEBIAN = {"3.13": "trixie", "3.14": "forky", "3.15": "sid"}  # the Debian that packages this version
LINKERS = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
RUNTIME = "awslambdaric"


@dataclass(frozen=True)
class Python:
    """A version of Python.

    `command` runs it without a shell, to be measured. `executable` is in a virtual environment with pip, and is for
    installing and compiling. `runtime_dir` contains AWS's runtime client for this version.
    """

    version: str  # such as 3.13
    build: str  # sys.version
    origin: str
    command: tuple[str, ...]
    executable: str
    runtime_dir: Path

    @property
    def title(self) -> str:
        """Return the complete version and where it comes from."""
        return f"Python {self.build.split()[0]} ({self.origin})"


@dataclass(frozen=True)
class _Interpreter:
    """A Python without packages. `pip` is a wheel of pip if it does not contain one itself."""

    version: str
    origin: str
    command: tuple[str, ...]
    executable: str
    pip: Path | None = None


def find_pythons(versions: Sequence[str]) -> tuple[list[Python], list[str]]:
    """Return the available versions, and a line for each version that is not available."""
    installed = [interpreter for version in versions if (interpreter := find_installed(version))]
    if len(installed) == len(versions):
        return [prepare(interpreter) for interpreter in installed], []
    pythons, missing = [], []
    for version in versions:
        try:
            pythons.append(prepare(unpack_debian(version)))
        except CommandError as error:
            missing.append(f"Python {version} is not measured. {error}")
    if len(pythons) < len(installed):  # Debian's are not available, so measure the installed ones
        names = {interpreter.version for interpreter in installed}
        missing = [
            f"Python {version} is not installed, so it is not measured." for version in versions if version not in names
        ]
        pythons = [prepare(interpreter) for interpreter in installed]
    return pythons, missing


def find_installed(version: str) -> _Interpreter | None:
    """Return the Python that runs this program, or pythonX.Y on the PATH, or None if neither has this version."""
    for command in (sys.executable, f"python{version}"):
        try:
            found, executable = run(
                [command, "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"]
            ).split(maxsplit=1)
        except CommandError:  # not installed, or without the module ensurepip, or a shim of pyenv
            continue
        if found == version:
            return _Interpreter(version, "installed", (executable.strip(),), executable.strip())
    return None


def unpack_debian(version: str) -> _Interpreter:
    """Return the Python of a Debian. Create its root directory on first use. Raise CommandError if that fails."""
    machine = platform.machine()
    if version not in DEBIAN or machine not in LINKERS:
        raise CommandError(f"Install it, so that python{version} is on the PATH.")
    suite = DEBIAN[version]
    tar = CACHE / "engine" / f"{suite}.tar"  # .ci/engine.sh uses the same file
    if not tar.exists():
        if not shutil.which("mmdebstrap"):
            raise CommandError(f"Install python{version}, or install mmdebstrap, which gets it from Debian {suite}.")
        say(f"Getting Python {version} from Debian {suite}...")
        try:
            run([TEMPLATE / ".ci/debian-root.sh", suite, version, tar])
        except CommandError as error:
            reason = str(error).splitlines()[-1]
            raise CommandError(f"mmdebstrap could not get it from Debian {suite}, try it as root: {reason}") from error
    cache, key = layers(), digest("debian", suite, version, str(tar.stat().st_mtime_ns), LINKERS[machine])
    root = cache[key]
    python = str(root / "usr/bin" / f"python{version}")
    linker = (str(root / LINKERS[machine]), "--library-path", str(root / "usr/lib" / f"{machine}-linux-gnu"))
    # Python finds its modules from the path of this script. A script in /usr/local leaves the path in /usr unchanged.
    script = Path("usr/local/bin", f"python{version}")
    with cache.create_layer(key, "") as draft:
        if draft:
            run(["tar", "-xf", tar, "-C", draft, "--exclude=./dev/*"])
            words = shlex.join(linker)
            (draft / script).write_text(f'#!/bin/sh\nexec {words} --argv0 "$0" {shlex.quote(python)} "$@"\n')
            (draft / script).chmod(0o755)
    pip = next((root / "usr/share/python-wheels").glob("pip-*.whl"))
    command = (*linker, "--argv0", python, python)
    return _Interpreter(version, f"Debian {suite}", command, str(root / script), pip)


def prepare(interpreter: _Interpreter) -> Python:
    """Create a virtual environment with pip, and install the runtime client. Raise CommandError if that fails."""
    cache = layers()
    build = run([interpreter.executable, "-c", "import sys; print(sys.version)"]).strip()
    key = digest("venv", build, interpreter.executable)
    with cache.create_layer(key, "") as draft:
        if draft:
            options = ["--without-pip"] if interpreter.pip else []
            run([interpreter.executable, "-m", "venv", *options, draft])
            if interpreter.pip:
                run([draft / "bin/python", interpreter.pip / "pip", "install", "--no-index", interpreter.pip])
    executable = str(cache[key] / "bin/python")
    requirements = runtime_requirements((TEMPLATE / "requirements.txt").read_text("utf-8"))
    key = digest("runtime", build, requirements)
    with cache.create_layer(key, "") as draft:
        if draft:
            file = draft / "requirements.txt"
            file.write_text(requirements)
            install_packages(executable, file, draft)
    return Python(
        interpreter.version, build, interpreter.origin, interpreter.command, executable, runtime_dir=cache[key]
    )


def runtime_requirements(text: str) -> str:
    """Return the lines of a requirements file that pin the runtime client and its requirements."""
    names = {RUNTIME, *(Requirement(line).name for line in distribution(RUNTIME).requires or [])}
    blocks = re.findall(r"^\S.*\\\n(?: +--hash=.*\n)+", text, re.MULTILINE)
    return "".join(block for block in blocks if block.partition("==")[0] in names)


def install_packages(executable: str, requirements: Path, target: Path) -> None:
    """Install pinned packages into a folder with the pip of a Python."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run([executable, "-m", "pip", "install", *options, "--target", target, "-r", requirements])
    shutil.rmtree(target / "bin", ignore_errors=True)
