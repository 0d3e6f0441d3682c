"""Run one hook of the template without generating a project."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cookiecutter.utils import create_env_with_context

from scripts.projects import PROMPTS, TEMPLATE

DEFAULTS = {
    name: default[0] if isinstance(default, list) else default
    for name, default in PROMPTS.items()
    if not name.startswith("_")
} | {"project_slug": "my-api"}


def run_hook(name: str, folder: Path, answers: Mapping[str, str], before: str = "") -> subprocess.CompletedProcess[str]:
    """Render a hook with the answers and run it in the folder, as cookiecutter does. `before` is code to run first."""
    context = {"cookiecutter": {**DEFAULTS, **answers}}
    source = (TEMPLATE / "hooks" / f"{name}.py").read_text("utf-8")
    script = before + create_env_with_context(context).from_string(source).render(**context)
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, encoding="utf-8")


def write_unpruned_project(folder: Path, manifest: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Write a project as the post_gen hook finds it. `manifest` lists the files by option and choice."""
    for name in ("always.py", "url.py", "api.py", "api/one.py", "api/two.py", "both.py", "requirements-dev.txt"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("fastapi==1.0 \\\n")
    lines = []
    for option, choices in manifest.items():
        for choice, files in choices.items():
            lines += [f"[{option}.{choice}]", f"files = {json.dumps(files)}", "words = []"]
    (folder / "options.toml").write_text("\n".join(lines))
