"""Run a hook alone, as cookiecutter runs it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cookiecutter.utils import create_env_with_context

from scripts.projects import PROMPTS, TEMPLATE

DEFAULTS = {name: asked[0] if isinstance(asked, list) else asked for name, asked in PROMPTS.items() if name[0] != "_"}
DEFAULTS["project_slug"] = "my-api"


def hook(name: str, folder: Path, answers: Mapping[str, str], before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a hook in a folder as cookiecutter does: rendered, then as a script of its own."""
    context = {"cookiecutter": {**DEFAULTS, **answers}}
    source = (TEMPLATE / "hooks" / f"{name}.py").read_text("utf-8")
    script = before + create_env_with_context(context).from_string(source).render(**context)
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, encoding="utf-8")


def lay_out(folder: Path, manifest: Mapping[str, object]) -> None:
    """A project as post_gen finds it, with a manifest of {option: {choice: files}}."""
    for name in ("always.py", "url.py", "api.py", "api/one.py", "api/two.py", "both.py", "requirements-dev.txt"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("fastapi==1.0 \\\n")
    lines = []
    for option, choices in manifest.items():
        assert isinstance(choices, dict)
        for choice, files in choices.items():
            lines += [f"[{option}.{choice}]", f"files = {json.dumps(files)}", "words = []"]
    (folder / "options.toml").write_text("\n".join(lines))
