"""The files that Docker receives: those that .dockerignore does not exclude."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

WILDCARDS = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
TOKENS = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\]|\\.)")


@dataclass(frozen=True)
class Rule:
    """A line of .dockerignore: paths that it excludes, or that it includes again."""

    pattern: str
    regex: re.Pattern[str]
    excludes: bool

    def matches(self, path: PurePath) -> bool:
        """Return True if the pattern matches the path or a folder that contains it."""
        return any(self.regex.fullmatch(candidate.as_posix()) for candidate in [path, *path.parents][:-1])

    def may_include_part_of(self, folder: PurePath) -> bool:
        """Return True if the rule may include a path inside an excluded folder."""
        first = self.pattern.split("/")[0]
        return not self.excludes and (bool(TOKENS.search(first)) or first == folder.parts[0])


def build_context(project: Path) -> list[Path]:
    """Return the files and symbolic links that Docker receives, in order. The Dockerfile is always one of them.

    Source: docs.docker.com/build/concepts/context/#dockerignore-files
    """
    rules = _read_rules(project / ".dockerignore")
    paths = [PurePath("Dockerfile")]
    for folder, subfolders, files in os.walk(project):
        parent = Path(folder).relative_to(project)
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        paths += [parent / name for name in [*files, *links] if not _is_excluded(parent / name, rules)]
        subfolders[:] = [
            name
            for name in subfolders
            if not _is_excluded(parent / name, rules) or any(rule.may_include_part_of(parent / name) for rule in rules)
        ]
    return [project / path for path in sorted({*paths} - {PurePath(".dockerignore")})]


def _read_rules(file: Path) -> list[Rule]:
    text = file.read_text(encoding="utf-8-sig") if file.exists() else ""
    rules = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            pattern = posixpath.normpath(line.strip().removeprefix("!").strip()).lstrip("/")
            rules.append(Rule(pattern, _compile(pattern), excludes=not line.startswith("!")))
    return rules


def _compile(pattern: str) -> re.Pattern[str]:
    parts = TOKENS.split(pattern)  # text and tokens in turn
    return re.compile(
        "".join(WILDCARDS.get(part, part) if TOKENS.fullmatch(part) else re.escape(part) for part in parts)
    )


def _is_excluded(path: PurePath, rules: list[Rule]) -> bool:
    """Return True if the last rule that matches the path excludes it."""
    return next((rule.excludes for rule in reversed(rules) if rule.matches(path)), False)
