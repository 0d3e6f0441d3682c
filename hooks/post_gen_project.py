"""Deletes the files that belong to answers not chosen, as listed in options.toml, and then that list itself."""

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

answers = json.loads(r"""{{ cookiecutter | tojson }}""")
project = Path.cwd()
manifest = project / "options.toml"


def listed(chosen: bool) -> set[Path]:
    """The paths that belong to answers that were chosen, or that were not."""
    return {
        project / file
        for option, choices in options.items()
        for choice, belongs in choices.items()
        if (answers[option] == choice) == chosen
        for file in belongs["files"]
    }


if manifest.exists():  # it is gone when the hook runs a second time
    options = tomllib.loads(manifest.read_text(encoding="utf-8"))
    for path in sorted(listed(True) | listed(False)):
        if project not in path.resolve().parents:
            sys.exit(f"options.toml lists a path outside the project: {path}")
        if not path.exists():
            sys.exit(f"options.toml lists a path that does not exist: {path.relative_to(project)}")
    if re.search(
        rf"(?m)^{re.escape(answers['project_slug'])}==", (project / "requirements-dev.txt").read_text("utf-8")
    ):
        sys.exit(f"project_slug must not be the name of a package the project depends on: {answers['project_slug']}")
    for path in listed(False) - listed(True):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    manifest.unlink()
