"""Parse Dockerfiles. Raise DockerfileError for every instruction, flag and syntax that is not supported."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

FLAGS = {"FROM": {"platform"}, "COPY": {"from", "link"}, "RUN": {"mount"}}
KNOWN = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "CMD"}


class DockerfileError(ValueError):
    """The Dockerfile cannot be parsed or built. The message starts with the line, if the error is in a line."""


@dataclass(frozen=True)
class Instruction:
    """An instruction with its flags, such as --from, and the text after them."""

    line: int
    name: str
    flags: Mapping[str, str]
    text: str

    def __str__(self) -> str:
        source = [f"--from={self.flags['from']}"] if "from" in self.flags else []
        return " ".join([self.name, *source, *self.text.split()])


@dataclass(frozen=True)
class Stage:
    """A FROM instruction and the instructions up to the next one."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True)
class Dockerfile:
    """The stages, and the ARGs before the first FROM, which a stage can declare to use them."""

    arguments: Mapping[str, str]
    stages: list[Stage]


def parse(text: str, build_arguments: Mapping[str, str]) -> Dockerfile:
    """Parse a Dockerfile. `build_arguments` are those that the builder provides, such as TARGETARCH."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            words = expand(instruction, {**build_arguments, **arguments}).split()
            if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
                raise DockerfileError(f"Dockerfile line {instruction.line}: FROM image [AS name]")
            stages.append(Stage(words[0], words[2] if len(words) == 3 else str(len(stages))))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            arguments.update(assignments(instruction, {**build_arguments, **arguments}))
        else:
            raise DockerfileError(f"Dockerfile line {instruction.line}: {instruction.name} before the first FROM")
    if not stages:
        raise DockerfileError("Dockerfile: no FROM")
    return Dockerfile(arguments, stages)


def _instructions(text: str) -> Iterator[Instruction]:
    logical, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):  # also inside a continued line
            if re.match(r"#\s*escape\s*=", line, re.IGNORECASE):
                raise DockerfileError(f"Dockerfile line {number}: the escape directive is not supported")
            continue
        start = start or number
        if line.rstrip().endswith("\\"):
            logical += line.rstrip()[:-1]
            continue
        yield _instruction(start, (logical + line).strip())
        logical, start = "", 0
    if logical:
        raise DockerfileError(f"Dockerfile line {start}: the last instruction is incomplete")


def _instruction(line: int, text: str) -> Instruction:
    name, _, rest = text.partition(" ")
    name = name.upper()
    if name not in KNOWN:
        raise DockerfileError(f"Dockerfile line {line}: {name} is not supported")
    if "<<" in rest:
        raise DockerfileError(f"Dockerfile line {line}: here-documents are not supported")
    flags = {}
    rest = rest.strip()
    while match := re.match(r"--([a-z]+)(?:=(\S+))?\s+", rest):
        if match[1] not in FLAGS.get(name, set()):
            raise DockerfileError(f"Dockerfile line {line}: {name} --{match[1]} is not supported")
        if match[1] == "mount" and "type=cache" not in (match[2] or "").split(","):
            raise DockerfileError(f"Dockerfile line {line}: only cache mounts are supported")
        flags[match[1]] = match[2] or ""
        rest = rest[match.end() :]
    return Instruction(line, name, flags, rest)


def expand(instruction: Instruction, variables: Mapping[str, str], text: str | None = None) -> str:
    """Return the instruction's text, or `text`, with `$NAME`, `${NAME}` and `${NAME:-default}` replaced.

    Raise DockerfileError for a variable that is not set, where Docker would insert an empty string.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[2], match[3]
        if variables.get(name) or (name in variables and default is None):
            return variables[name]
        if default is None:
            raise DockerfileError(f"Dockerfile line {instruction.line}: ${name} is not set")
        return default

    text = instruction.text if text is None else text
    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})", value, text)


def assignments(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an ARG or ENV sets. An ARG without a value gets that of `variables`, if any."""
    values = {}
    try:
        words = shlex.split(instruction.text)
    except ValueError as error:  # such as a quotation mark that is not closed
        raise DockerfileError(f"Dockerfile line {instruction.line}: {error}") from None
    for word in words:
        name, equals_sign, value = word.partition("=")
        if equals_sign:
            values[name] = expand(instruction, variables, value)
        elif instruction.name == "ENV":
            raise DockerfileError(f"Dockerfile line {instruction.line}: write ENV NAME=value")
        elif name in variables:
            values[name] = variables[name]
    return values


def command_list(instruction: Instruction) -> list[str]:
    """Return the command of a CMD in its list form, the only one that Lambda's entrypoint accepts."""
    try:
        command = json.loads(instruction.text)
    except ValueError:
        command = None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise DockerfileError(f'Dockerfile line {instruction.line}: write CMD ["module.handler"]')
    return command


def is_ignored(dockerignore: str, path: PurePosixPath) -> bool:
    """Return True if .dockerignore excludes the path. The last pattern that matches it or a parent folder decides.

    Raise DockerfileError if a pattern is invalid.
    """
    excluded = False
    for number, line in enumerate(dockerignore.splitlines(), 1):
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        try:
            expression = _pattern(pattern.removeprefix("!").strip().strip("/").removeprefix("./"))
        except re.error as error:
            raise DockerfileError(f".dockerignore line {number}: {pattern} is invalid: {error}") from None
        if any(expression.fullmatch(str(part)) for part in (path, *list(path.parents)[:-1])):
            excluded = not keep
    return excluded


def _pattern(pattern: str) -> re.Pattern[str]:
    """Return a pattern of .dockerignore as a regular expression."""
    pieces = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    return re.compile(
        "".join(pieces.get(token, token if token.startswith("[") else re.escape(token)) for token in tokens)
    )


def read(project: Path, build_arguments: Mapping[str, str]) -> tuple[Dockerfile, str]:
    """Return the project's Dockerfile and the text of its .dockerignore."""
    path = project / "Dockerfile"
    if not path.is_file():
        raise DockerfileError(f"{path} does not exist")
    dockerfile = parse(path.read_text(), build_arguments)
    ignore_file = project / ".dockerignore"
    return dockerfile, ignore_file.read_text() if ignore_file.exists() else ""
