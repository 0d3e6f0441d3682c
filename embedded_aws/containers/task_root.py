"""Build the folder /var/task of a project's image from its Dockerfile, without a container engine.

RUN instructions run on this machine. Their absolute paths are moved below a temporary folder, and `python` and `pip`
are those of the Python that runs the function here, so that wheels and bytecode match it. Each COPY and RUN creates a
layer, which is cached by its content. Layers share their equal files through hard links.
"""

import filecmp
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
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from embedded_aws.containers import dockerfile
from embedded_aws.containers.dockerfile import DockerfileError, Instruction
from embedded_aws.containers.layers import Layers, digest

TASK_ROOT = PurePosixPath("/var/task")
# The variables of AWS's base image that a Dockerfile may use.
BASE_ENVIRONMENT = {"LAMBDA_TASK_ROOT": str(TASK_ROOT), "LAMBDA_RUNTIME_DIR": "/var/runtime"}
# Folders of this machine, which a RUN must not use.
MACHINE_FOLDERS = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")

# The commands python and pip of a RUN. The second line allows a path with spaces, which #! does not. The options that
# select a platform are dropped, because the function runs on this machine, and pip may use this machine's cache. pip
# also replaces uv, because it reads this machine's configuration of package indexes.
PYTHON_WRAPPER = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import os, sys
args = [*(["-m", "pip"] if "pip" in os.path.basename(sys.argv[0]) else []), *sys.argv[1:]]
if args[:4] == ["-m", "uv", "pip", "install"]:
    args[1:4] = ["pip", "install", "--no-compile"]  # uv does not compile
if args[:2] == ["-m", "pip"]:
    words, args = iter(args), []
    for word in words:
        name, _, value = word.partition("=")
        if name in ("--platform", "--python-platform", "--only-binary", "--python-version", "--implementation",
                    "--abi"):
            value or next(words)
        elif name not in ("--no-cache", "--no-cache-dir"):
            args.append(word)
for name in ("PLATFORM", "ONLY_BINARY", "PYTHON_VERSION", "IMPLEMENTATION", "ABI"):
    os.environ.pop("PIP_" + name, None)
os.execv(sys.executable, [sys.executable, *args])
"""


@dataclass(frozen=True)
class TaskRoot:
    """The files of an image below /var/task and its command. Do not write to `path`: other builds share it."""

    path: Path
    command: list[str]


@dataclass
class _Stage:
    """The state of a stage during the build. `key` is the key of the layer with its files so far."""

    key: str
    environment: dict[str, str]
    workdir: PurePosixPath = TASK_ROOT
    command: list[str] = field(default_factory=list)
    image_environment: dict[str, str] = field(default_factory=dict)


def build_task_root(
    project: Path, cache: Path, say: Callable[[str], object] = print, python: str = sys.executable
) -> TaskRoot:
    """Build the task root of a project. `say` gets a line for each RUN and COPY, and `python` runs pip.

    Raise DockerfileError if the Dockerfile uses something that is not supported here, or if a RUN fails.
    """
    build = _Build(project, Layers(cache / "layers", say), python)
    for parsed in build.file.stages:
        stage = build.start(parsed.base)
        for instruction in parsed.instructions:
            build.execute(stage, instruction)
        build.stages[parsed.name] = stage
    outside = [path.name for path in build.layers[stage.key].iterdir() if path.name != TASK_ROOT.parts[1]]
    if outside:
        raise DockerfileError(f"Dockerfile: the last stage has files outside {TASK_ROOT}: {', '.join(outside)}")
    if stage.image_environment:  # the launcher of the function's process does not set it
        raise DockerfileError(
            f"Dockerfile: ENV in the last stage is not supported: {', '.join(stage.image_environment)}"
        )
    build.layers.delete_unused()
    return TaskRoot(_below(build.layers[stage.key], TASK_ROOT), stage.command)


class _Build:
    """The build of one project."""

    def __init__(self, project: Path, layers: Layers, python: str) -> None:
        self.project = project
        self.layers = layers
        self.python = python
        self.stages: dict[str, _Stage] = {}
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        values = {"OS": "linux", "ARCH": machine, "PLATFORM": f"linux/{machine}"}
        self.build_arguments = {
            f"{side}{name}": value for side in ("BUILD", "TARGET") for name, value in values.items()
        }
        self.file, self.dockerignore = dockerfile.read(project, self.build_arguments)

    def start(self, base: str) -> _Stage:
        """Return a stage that starts with the files of an earlier stage, or with an empty task root."""
        if base in self.stages:
            return deepcopy(self.stages[base])
        key = digest("FROM", _version(self.python), platform.machine(), PYTHON_WRAPPER)
        with self.layers.create_layer(key, "") as root:
            if root:
                _below(root, TASK_ROOT).mkdir(parents=True)
        return _Stage(key, dict(BASE_ENVIRONMENT))

    def execute(self, stage: _Stage, instruction: Instruction) -> None:
        """Apply an instruction to the stage."""
        match instruction.name:
            case "ARG":
                known = {**self.build_arguments, **self.file.arguments, **stage.environment}
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
                stage.command = dockerfile.command_list(instruction)
            case _:
                raise DockerfileError(f"Dockerfile line {instruction.line}: {instruction.name} is not supported")

    def copy(self, stage: _Stage, instruction: Instruction) -> None:
        """Add files of the project, or of another stage, to the stage in a new layer."""
        *sources, target = dockerfile.expand(instruction, stage.environment).split()
        if "from" in instruction.flags:
            name = instruction.flags["from"]
            if name not in self.stages:
                raise DockerfileError(f"Dockerfile line {instruction.line}: the stage {name} does not exist")
            context = self.layers[self.stages[name].key]
            files = _find_files(instruction, context, sources, "")
            content = context.name
            copy_file: Callable[..., object] = os.link
        else:
            context = self.project
            files = _find_files(instruction, context, sources, self.dockerignore)
            content = digest(*(f"{name} {_content_digest(path)}" for name, path in sorted(files.items())))
            copy_file = shutil.copy2
        destination = stage.workdir / target
        to_folder = (
            target.endswith("/") or destination == stage.workdir or _below(self.layers[stage.key], destination).is_dir()
        )
        from_file = len(sources) == 1 and (context / sources[0].lstrip("/")).is_file()
        renamed = from_file and not to_folder
        if renamed:
            (path,) = files.values()
            copies = {destination: path}
        else:
            copies = {destination / name: path for name, path in files.items()}
        previous = stage.key
        stage.key = digest(previous, "COPY", content, *sources, str(destination), str(renamed))
        with self.layers.create_layer(stage.key, str(instruction)) as root:
            if root:
                shutil.copytree(self.layers[previous], root, copy_function=os.link, dirs_exist_ok=True, symlinks=True)
                for target_path, path in copies.items():
                    copy = _below(root, target_path)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.unlink(missing_ok=True)  # it may be a hard link to the file of the previous layer
                    copy_file(path, copy, follow_symlinks=False)

    def run(self, stage: _Stage, instruction: Instruction) -> None:
        """Run a command on a copy of the stage's files in a new layer."""
        variables = stage.environment
        previous = stage.key
        stage.key = digest(previous, "RUN", instruction.text, str(stage.workdir), json.dumps(variables, sort_keys=True))
        with self.layers.create_layer(stage.key, str(instruction)) as root:
            if not root:
                return
            shutil.copytree(self.layers[previous], root, dirs_exist_ok=True, symlinks=True)
            _below(root, stage.workdir).mkdir(parents=True, exist_ok=True)
            with _python_wrappers(self.python) as tools:
                link = tools / "root"  # a path without spaces, which RUN instructions do not quote
                link.symlink_to(root)
                inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
                moved = {name: _move_paths(instruction, value, link) for name, value in variables.items()}
                result = subprocess.run(
                    ["/bin/sh", "-c", _move_paths(instruction, instruction.text, link)],
                    cwd=_below(link, stage.workdir),
                    env={**inherited, **moved, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if result.returncode:
                output = (result.stdout + result.stderr).strip()[-2000:]
                raise DockerfileError(f"Dockerfile line {instruction.line}: {instruction} failed\n{output}")
            _link_equal_files(self.layers[previous], root)


def _below(root: Path, path: PurePosixPath) -> Path:
    """Return the absolute path of a container below a folder of this machine."""
    return root / path.relative_to("/")


def _find_files(
    instruction: Instruction, context: Path, sources: list[str], dockerignore: str
) -> dict[PurePosixPath, Path]:
    """Return the files that the sources of a COPY match, by their path below its destination."""
    files: dict[PurePosixPath, Path] = {}
    for source in sources:
        count = len(files)
        for match in sorted(context.glob(source.strip("/"))) if source.strip("/.") else [context]:
            for path in _walk(match):
                if not dockerfile.is_ignored(dockerignore, PurePosixPath(path.relative_to(context))):
                    files[PurePosixPath(path.relative_to(match if match.is_dir() else match.parent))] = path
        if len(files) == count:
            raise DockerfileError(
                f"Dockerfile line {instruction.line}: {source} does not exist or is excluded by .dockerignore"
            )
    return files


def _walk(path: Path) -> Iterator[Path]:
    """Return the file or link, or all files and links in the folder."""
    if path.is_symlink() or not path.is_dir():
        yield path
    else:
        for child in sorted(path.iterdir()):
            yield from _walk(child)


def _link_equal_files(previous: Path, root: Path) -> None:
    """Replace each file that a RUN did not change with a hard link to the previous layer's, to save disk space."""
    for path in _walk(root):
        original = previous / path.relative_to(root)
        if path.is_symlink() or original.is_symlink() or not original.is_file():
            continue
        before, after = original.stat(), path.stat()
        same_metadata = (before.st_mode, before.st_mtime_ns) == (after.st_mode, after.st_mtime_ns)
        if same_metadata and filecmp.cmp(original, path, shallow=False):
            path.unlink()
            os.link(original, path)


def _move_paths(instruction: Instruction, text: str, root: Path) -> str:
    """Return the text with all absolute paths moved below `root`.

    Raise DockerfileError for a path in a system folder, where the command would use this machine's files.
    """

    def move(match: re.Match[str]) -> str:
        path = match[0]
        if path == "/dev/null":
            return path
        if path == "/" or path in MACHINE_FOLDERS or path.startswith(tuple(f"{name}/" for name in MACHINE_FOLDERS)):
            raise DockerfileError(
                f"Dockerfile line {instruction.line}: {path} belongs to this machine; use a container engine"
            )
        return f"{root}{path}"

    return re.sub(r"(?<![\w./:$})*-])/(?!/)[\w.\-/]*", move, text)


@contextmanager
def _python_wrappers(python: str) -> Iterator[Path]:
    """Yield a folder with the commands python and pip, which run `python`."""
    with tempfile.TemporaryDirectory(prefix="task-root-") as folder:
        for name in ("pip", "pip3", "python", "python3"):
            tool = Path(folder, name)
            tool.write_text(PYTHON_WRAPPER.format(python=shlex.quote(python)))
            tool.chmod(0o755)
        yield Path(folder)


def _version(python: str) -> str:
    """Return `sys.version` of a Python."""
    if python == sys.executable:
        return sys.version
    command = [python, "-c", "import sys; print(sys.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")


def _content_digest(path: Path) -> str:
    """Return a digest of the content and of the executable bit of a file."""
    mode = "x" if os.access(path, os.X_OK) else "-"
    return mode + (os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest())
