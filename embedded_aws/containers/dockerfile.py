"""What a Dockerfile says, read strictly: an instruction, flag or form that is not understood here is an error."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

FLAGS = {"FROM": {"platform"}, "COPY": {"from", "link"}, "RUN": {"mount"}}
KNOWN = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "CMD"}


class DockerfileError(ValueError):
    """Says the line and what is not understood."""


@dataclass(frozen=True)
class Instruction:
    line: int
    name: str
    flags: Mapping[str, str]
    text: str

    def __str__(self) -> str:
        source = [f"--from={self.flags['from']}"] if "from" in self.flags else []
        return " ".join([self.name, *source, *self.text.split()])


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True)
class Dockerfile:
    arguments: Mapping[str, str]  # the ARGs before the first FROM, which a stage takes over by naming them
    stages: list[Stage]


def parse(text: str, build_arguments: Mapping[str, str]) -> Dockerfile:
    """The stages of a Dockerfile; `build_arguments` are those the builder itself provides (TARGETARCH and the like)."""
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
                raise DockerfileError(f"Dockerfile line {number}: the escape directive is not understood")
            continue
        start = start or number
        if line.rstrip().endswith("\\"):
            logical += line.rstrip()[:-1] + " "
            continue
        yield _instruction(start, (logical + line).strip())
        logical, start = "", 0
    if logical:
        raise DockerfileError(f"Dockerfile line {start}: ends in the middle of an instruction")


def _instruction(line: int, text: str) -> Instruction:
    name, _, rest = text.partition(" ")
    name = name.upper()
    if name not in KNOWN:
        raise DockerfileError(f"Dockerfile line {line}: {name} is not understood")
    if "<<" in rest:
        raise DockerfileError(f"Dockerfile line {line}: here-documents are not understood")
    flags = {}
    rest = rest.strip()
    while match := re.match(r"--([a-z]+)(?:=(\S+))?\s+", rest):
        if match[1] not in FLAGS.get(name, set()):
            raise DockerfileError(f"Dockerfile line {line}: {name} --{match[1]} is not understood")
        if match[1] == "mount" and "type=cache" not in (match[2] or "").split(","):
            raise DockerfileError(f"Dockerfile line {line}: only cache mounts are understood")
        flags[match[1]] = match[2] or ""
        rest = rest[match.end() :]
    return Instruction(line, name, flags, rest)


def expand(instruction: Instruction, variables: Mapping[str, str], text: str | None = None) -> str:
    """`$NAME`, `${NAME}` and `${NAME:-default}` put in; a name that nothing sets is an error, not an empty text."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[2], match[3]
        if variables.get(name) or (name in variables and default is None):
            return variables[name]
        if default is None:
            raise DockerfileError(f"Dockerfile line {instruction.line}: nothing sets ${name}")
        return default

    text = instruction.text if text is None else text
    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})", value, text)


def assignments(instruction: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """`NAME=value …` of an ARG or ENV; an ARG without a value that nothing sets is left out."""
    found = {}
    for word in shlex.split(instruction.text):
        name, given, value = word.partition("=")
        if given:
            found[name] = expand(instruction, variables, value)
        elif instruction.name == "ENV":
            raise DockerfileError(f"Dockerfile line {instruction.line}: ENV NAME=value")
        elif name in variables:
            found[name] = variables[name]
    return found


def words(instruction: Instruction) -> list[str]:
    """The command of a CMD in its list form, the only one Lambda's entrypoint takes."""
    try:
        found: list[str] = json.loads(instruction.text)
    except ValueError:
        raise DockerfileError(f'Dockerfile line {instruction.line}: CMD ["module.handler"]') from None
    return found


def ignored(dockerignore: str, path: PurePosixPath) -> bool:
    """Whether .dockerignore keeps `path` out: the last pattern that matches it or a folder of it decides."""
    verdict = False
    for line in dockerignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        expression = _pattern(pattern.removeprefix("!").strip().strip("/").removeprefix("./"))
        if any(expression.fullmatch(str(part)) for part in (path, *list(path.parents)[:-1])):
            verdict = not keep
    return verdict


def _pattern(pattern: str) -> re.Pattern[str]:
    pieces = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
    return re.compile(
        "".join(pieces.get(token, token if token.startswith("[") else re.escape(token)) for token in tokens)
    )


def read(project: Path, build_arguments: Mapping[str, str]) -> tuple[Dockerfile, str]:
    """The project's Dockerfile and the text of its .dockerignore."""
    ignore = project / ".dockerignore"
    return parse((project / "Dockerfile").read_text(), build_arguments), ignore.read_text() if ignore.exists() else ""
