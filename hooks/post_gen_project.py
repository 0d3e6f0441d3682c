"""Delete the files of options that were not selected, as listed in options.toml, and print the next steps."""

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


def listed_files(selected: bool) -> set[Path]:
    """Return the paths that options.toml lists for the selected choices, or for all other choices."""
    return {
        project / file
        for option, choices in options.items()
        for choice, entry in choices.items()
        if (answers[option] == choice) == selected
        for file in entry["files"]
    }


def next_steps() -> str:
    """Return the answers and the four commands that lead to a public URL."""
    created_here = str(project.parent) == os.path.realpath(os.environ.get("PWD", project.parent))
    before_deploy = {
        "none": ("./deploy.sh doctor", "check the AWS credentials, Docker and more"),
        "alembic": ("./deploy.sh secret set DATABASE_URL", "enter the URL of your PostgreSQL database"),
    }
    domain = {"function_url": "", "http_api": "; set [domain] in deploy.toml for your own domain"}
    ready = {"provisioned_concurrency": "; two environments are always ready, which costs money"}
    steps = [
        (f"cd {shlex.quote(project.name if created_here else str(project))}", "README.md explains everything else"),
        ("make run", "serve on this machine: http://127.0.0.1:8000"),
        before_deploy[answers["migrations"]],
        ("./deploy.sh", "get a public URL" + domain[answers["endpoint"]] + ready.get(answers["cold_starts"], "")),
    ]
    width = max(len(command) for command, _ in steps)
    selected = ", ".join(f"{option}={answers[option]}" for option in options)
    lines = "".join(f"  {command:{width}}  # {effect}\n" for command, effect in steps)
    return f"\nCreated with {selected}. Next steps:\n{lines}"


if manifest.exists():  # the first run of this hook deletes it
    options = tomllib.loads(manifest.read_text(encoding="utf-8"))
    for path in sorted(listed_files(selected=True) | listed_files(selected=False)):
        if project not in path.resolve().parents:
            sys.exit(f"options.toml lists a path outside the project: {path}")
        if not path.exists():
            sys.exit(f"options.toml lists a path that does not exist: {path.relative_to(project)}")
    if re.search(
        rf"(?m)^{re.escape(answers['project_slug'])}==", (project / "requirements-dev.txt").read_text("utf-8")
    ):
        sys.exit(f"project_slug must not be the name of a package that the project needs: {answers['project_slug']}")
    for path in listed_files(selected=False) - listed_files(selected=True):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    manifest.unlink()
    # `cruft update` and `cruft diff` generate a second project in a temporary folder to compare it with the first.
    if "_commit" not in answers or project.parent.parent != Path(tempfile.gettempdir()).resolve():
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a folder name may have any characters
        print(next_steps(), end="")
