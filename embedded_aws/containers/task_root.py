"""The files that Lambda finds in /var/task, laid out without a container engine by doing what the Dockerfile says.

RUN lines run on this machine with absolute paths moved under a work folder, and `python` and `pip` are this machine's,
so wheels and byte-code fit the Python that runs the function here. Every COPY and RUN makes a layer, kept by content.
"""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from embedded_aws.containers import dockerfile
from embedded_aws.containers.dockerfile import DockerfileError, Instruction
from embedded_aws.containers.layers import Layers, digest

TASK_ROOT = PurePosixPath("/var/task")
# What AWS's base image sets, as far as a Dockerfile leans on it.
BASE_ENVIRONMENT = {"LAMBDA_TASK_ROOT": str(TASK_ROOT), "LAMBDA_RUNTIME_DIR": "/var/runtime"}
# Folders of this machine, which no RUN may touch.
MACHINE = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")

# pip and python of this machine; the second line takes a path with spaces, which #! does not. The function will run
# here, so wheels are for here too, and pip may use the cache it has here.
PYTHON = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import os, sys
given = [*(["-m", "pip"] if "pip" in os.path.basename(sys.argv[0]) else []), *sys.argv[1:]]
if given[:2] == ["-m", "pip"]:
    words, given = iter(given), []
    for word in words:
        name, _, value = word.partition("=")
        if name in ("--platform", "--only-binary", "--python-version", "--implementation", "--abi"):
            value or next(words)
        elif name != "--no-cache-dir":
            given.append(word)
for name in ("PLATFORM", "ONLY_BINARY", "PYTHON_VERSION", "IMPLEMENTATION", "ABI"):
    os.environ.pop("PIP_" + name, None)
os.execv(sys.executable, [sys.executable, *given])
"""


@dataclass(frozen=True)
class TaskRoot:
    """`path` is shared by all who laid out the same content: read it, never write into it."""

    path: Path
    command: list[str]


@dataclass
class _Stage:
    """A stage while it is followed: `key` names the layer that holds its files so far."""

    key: str
    environment: dict[str, str]
    workdir: PurePosixPath = TASK_ROOT
    command: list[str] = field(default_factory=list)
    image_environment: dict[str, str] = field(default_factory=dict)


def build_task_root(project: Path, cache: Path, say: Callable[[str], object] = print) -> TaskRoot:
    """The task root of `project`; `say` gets one line a RUN or COPY. Raises DockerfileError, also when a RUN fails."""
    build = _Build(project, Layers(cache / "layers", say))
    for described in build.file.stages:
        stage = build.start(described.base)
        for instruction in described.instructions:
            build.follow(stage, instruction)
        build.stages[described.name] = stage
    strangers = [path.name for path in build.layers[stage.key].iterdir() if path.name != TASK_ROOT.parts[1]]
    if strangers:
        raise DockerfileError(f"Dockerfile: the last stage has files outside {TASK_ROOT}: {', '.join(strangers)}")
    if stage.image_environment:  # which nothing hands to the function's process
        raise DockerfileError(
            f"Dockerfile: ENV in the last stage is not understood: {', '.join(stage.image_environment)}"
        )
    build.layers.forget()
    return TaskRoot(_below(build.layers[stage.key], TASK_ROOT), stage.command)


class _Build:
    def __init__(self, project: Path, layers: Layers) -> None:
        self.project = project
        self.layers = layers
        self.stages: dict[str, _Stage] = {}
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        given = {"OS": "linux", "ARCH": machine, "PLATFORM": f"linux/{machine}"}
        self.given = {f"{side}{name}": value for side in ("BUILD", "TARGET") for name, value in given.items()}
        self.file, self.dockerignore = dockerfile.read(project, self.given)

    def start(self, base: str) -> _Stage:
        if base in self.stages:
            before = self.stages[base]
            return _Stage(
                before.key,
                dict(before.environment),
                before.workdir,
                list(before.command),
                dict(before.image_environment),
            )
        key = digest("FROM", sys.version, platform.machine())
        with self.layers.making(key, "") as root:
            if root:
                _below(root, TASK_ROOT).mkdir(parents=True)
        return _Stage(key, dict(BASE_ENVIRONMENT))

    def follow(self, stage: _Stage, instruction: Instruction) -> None:
        match instruction.name:
            case "ARG":
                known = {**self.given, **self.file.arguments, **stage.environment}
                stage.environment.update(dockerfile.assignments(instruction, known))
            case "ENV":
                values = dockerfile.assignments(instruction, stage.environment)
                stage.environment.update(values)
                stage.image_environment.update(values)
            case "WORKDIR":
                stage.workdir /= dockerfile.expand(instruction, stage.environment)
            case "COPY":
                self.copy(stage, instruction)
            case "RUN":
                self.run(stage, instruction)
            case "CMD":
                stage.command = dockerfile.words(instruction)
            case _:
                raise DockerfileError(f"Dockerfile line {instruction.line}: {instruction.name} is not understood")

    def copy(self, stage: _Stage, instruction: Instruction) -> None:
        *sources, target = dockerfile.expand(instruction, stage.environment).split()
        if "from" in instruction.flags:
            name = instruction.flags["from"]
            if name not in self.stages:
                raise DockerfileError(f"Dockerfile line {instruction.line}: there is no stage {name}")
            context = self.layers[self.stages[name].key]
            files = _found(instruction, context, sources, "")
            content = context.name
        else:
            context = self.project
            files = _found(instruction, context, sources, self.dockerignore)
            content = digest(*(f"{name} {_content(path)}" for name, path in sorted(files.items())))
        place = stage.workdir / target
        a_file = len(sources) == 1 and (context / sources[0].lstrip("/")).is_file()
        a_folder = target.endswith("/") or place == stage.workdir or _below(self.layers[stage.key], place).is_dir()
        if a_file and not a_folder:
            placed = dict(zip([place], files.values(), strict=True))
        else:
            placed = {place / name: path for name, path in files.items()}
        before, stage.key = (
            stage.key,
            digest(stage.key, "COPY", content, *sources, str(place), str(a_file and not a_folder)),
        )
        with self.layers.making(stage.key, str(instruction)) as root:
            if root:
                shutil.copytree(self.layers[before], root, copy_function=os.link, dirs_exist_ok=True, symlinks=True)
                for target_path, path in placed.items():
                    copied = _below(root, target_path)
                    copied.parent.mkdir(parents=True, exist_ok=True)
                    copied.unlink(missing_ok=True)  # it may be a link to the layer before
                    shutil.copy2(path, copied, follow_symlinks=False)

    def run(self, stage: _Stage, instruction: Instruction) -> None:
        known = stage.environment
        before = stage.key
        stage.key = digest(before, "RUN", instruction.text, str(stage.workdir), json.dumps(known, sort_keys=True))
        with self.layers.making(stage.key, str(instruction)) as root:
            if not root:
                return
            shutil.copytree(self.layers[before], root, dirs_exist_ok=True, symlinks=True)
            _below(root, stage.workdir).mkdir(parents=True, exist_ok=True)
            with _this_machines_python() as tools:
                here = tools / "root"  # a path without spaces, which RUN lines do not quote
                here.symlink_to(root)
                machine = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
                moved = {name: _moved(instruction, value, here) for name, value in known.items()}
                done = subprocess.run(
                    ["/bin/sh", "-c", _moved(instruction, instruction.text, here)],
                    cwd=_below(here, stage.workdir),
                    env={**machine, **moved, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                said = (done.stdout + done.stderr).strip()[-2000:]
                raise DockerfileError(f"Dockerfile line {instruction.line}: {instruction} failed here\n{said}")


def _below(root: Path, path: PurePosixPath) -> Path:
    return root / path.relative_to("/")


def _found(instruction: Instruction, context: Path, sources: list[str], ignore: str) -> dict[PurePosixPath, Path]:
    """The files that COPY's sources mean, by their name below its target."""
    found: dict[PurePosixPath, Path] = {}
    for source in sources:
        before = len(found)
        for match in sorted(context.glob(source.strip("/"))) if source.strip("/.") else [context]:
            for path in _files(match):
                if not dockerfile.ignored(ignore, PurePosixPath(path.relative_to(context))):
                    found[PurePosixPath(path.relative_to(match if match.is_dir() else match.parent))] = path
        if len(found) == before:
            raise DockerfileError(
                f"Dockerfile line {instruction.line}: no {source} to COPY (.dockerignore may hide it)"
            )
    return found


def _files(match: Path) -> Iterator[Path]:
    if match.is_symlink() or not match.is_dir():
        yield match
    else:
        for path in sorted(match.iterdir()):
            yield from _files(path)


def _moved(instruction: Instruction, text: str, root: Path) -> str:
    """`text` with its absolute paths under `root`; a path of the machine itself is refused."""

    def move(match: re.Match[str]) -> str:
        path = match[0]
        if path == "/dev/null":
            return path
        if path == "/" or path.startswith(tuple(f"{folder}/" for folder in MACHINE)) or path in MACHINE:
            raise DockerfileError(f"Dockerfile line {instruction.line}: {path} is this machine's: that needs an engine")
        return f"{root}{path}"

    return re.sub(r"(?<![\w./:$})*-])/(?!/)[\w.\-/]*", move, text)


@contextmanager
def _this_machines_python() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="task-root-") as folder:
        for name in ("pip", "pip3", "python", "python3"):
            tool = Path(folder, name)
            tool.write_text(PYTHON.format(python=shlex.quote(sys.executable)))
            tool.chmod(0o755)
        yield Path(folder)


def _content(path: Path) -> str:
    mode = "x" if os.access(path, os.X_OK) else "-"
    return mode + (os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest())
