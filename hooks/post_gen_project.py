"""Deletes the files of answers not chosen, as listed in options.toml, and that list itself; says what comes next."""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
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


def next_steps() -> str:
    """What was made, and the four lines that lead from there to a public URL."""
    here = str(project.parent) == os.path.realpath(os.environ.get("PWD", project.parent))
    before = {
        "none": ("./deploy.sh doctor", "what a deploy still lacks: AWS credentials, Docker"),
        "alembic": ("./deploy.sh secret set DATABASE_URL", "of your PostgreSQL, before the first deploy"),
    }
    named = {"function_url": "", "http_api": "; [domain] in deploy.toml names it"}
    ready = {"provisioned_concurrency": "; two environments stay ready, and cost"}
    steps = [
        (f"cd {shlex.quote(project.name if here else str(project))}", "its README.md tells the rest"),
        ("make run", "on this machine: http://127.0.0.1:8000"),
        before[answers["migrations"]],
        ("./deploy.sh", "a public URL" + named[answers["endpoint"]] + ready.get(answers["cold_starts"], "")),
    ]
    width = max(len(command) for command, _ in steps)
    chosen = ", ".join(f"{option}={answers[option]}" for option in options)
    return f"\nMade with {chosen}. Next steps:\n" + "".join(f"  {do:{width}}  # {told}\n" for do, told in steps)


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
    # `cruft update` and `cruft diff` make a project in a temporary folder, to compare with the one there is.
    if "_commit" not in answers or project.parent.parent != Path(tempfile.gettempdir()).resolve():
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # whatever the folder is called
        print(next_steps(), end="")
