"""The subjects of the benchmark: variants of the generated service, and alternatives.

All of them return the same response to GET /. The packages of the alternatives are pinned in
`peers/<name>/requirements.txt` and installed on first use.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from embedded_aws import EmbeddedAws
from embedded_aws.containers.layers import Layers, digest
from embedded_aws.containers.task_root import build_task_root
from scripts.projects import TEMPLATE, Answers, generate_project

HERE = Path(__file__).parent
CACHE = TEMPLATE / ".cache"
FUNCTION_URL = (HERE / "events/function_url.json").read_bytes()
REST_API = (HERE / "events/rest_api.json").read_bytes()
# The environment variables that a deploy sets for the generated service.
OURS = {"STAGE": "prod", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
OUR_COMMAND = ("aws_lambda.handler.handler",)
NO_FAST_IMPORT = {"FAST_IMPORT": "false"}
NO_ACCESS_LOG = {"AWS_LAMBDA_LOG_LEVEL": "WARN"}
LARGEST = {
    "endpoint": "http_api",
    "secrets": "secrets_manager",
    "migrations": "alembic",
    "cold_starts": "snapstart",
}
Edit = tuple[tuple[str, str, str], ...]  # file, old text, new text
API_KEY: Edit = (
    ("app/settings.py", "from pydantic_settings", "from pydantic import SecretStr\nfrom pydantic_settings"),
    ("app/settings.py", '    stage: str = "local"', '    api_key: SecretStr\n    stage: str = "local"'),
)
COLD_START = "aws_lambda/cold_start.py"
WITHOUT_GC: Edit = ((COLD_START, "    gc.disable()", "    pass"), (COLD_START, "        gc.freeze()", "        pass"))
WITHOUT_DEFER_BUILD: Edit = ((COLD_START, 'model_config["defer_build"] = True', 'model_config["defer_build"] = False'),)
WITHOUT_V1_SHORTCUT: Edit = (
    (COLD_START, "    if is_v1_model := ", "    if False and (is_v1_model := "),
    (COLD_START, 'class", None):', 'class", None)):'),
)
SEED = "seed"  # the base of all ratios


@dataclass(frozen=True)
class Subject:
    """A service to measure. `root` is its task root (/var/task), which must not be changed."""

    name: str
    title: str
    root: Path
    command: tuple[str, ...] = ("app.main.handler",)
    environ: Mapping[str, str] = field(default_factory=dict)
    event: bytes = FUNCTION_URL
    is_web_server: bool = False


def subjects_by_name(bakes: Path, aws: EmbeddedAws) -> dict[str, Callable[[], Subject]]:
    """Return a function that creates each subject. Generate projects in `bakes` and put secrets into AWS."""
    parameter, secret = put_secrets(aws)
    ssm = OURS | parameter | aws.environ
    manager = OURS | secret | aws.environ
    database = manager | {"SECRET_NAMES": "DATABASE_URL"}

    @cache
    def ours(edit: Edit | None = None, **answers: str) -> Path:
        return build_service_root(bakes / str(len(list(bakes.iterdir()))), answers, edit)

    def with_boto3() -> Path:
        return install_peer("boto3", ours(API_KEY))

    rows: list[tuple[str, str, Callable[[], Path], dict[str, Any]]] = [
        ("bare", "a bare handler", lambda: install_peer("bare"), {}),
        (SEED, "minimal FastAPI + Mangum (the seed)", lambda: install_peer("seed"), {}),
        ("seed again", "the same again, as a control", lambda: install_peer("seed"), {}),
        ("seed without pyc", "… without .pyc, as the article advises", lambda: without_pyc(install_peer("seed")), {}),
        ("ours", "**ours, default**", ours, {"environ": OURS}),
        ("ours - fast_import", "… with FAST_IMPORT off", ours, {"environ": OURS | NO_FAST_IMPORT}),
        ("ours - gc", "… with garbage collection during imports", lambda: ours(WITHOUT_GC), {"environ": OURS}),
        (
            "ours - defer_build",
            "… without deferred OpenAPI models",
            lambda: ours(WITHOUT_DEFER_BUILD),
            {"environ": OURS},
        ),
        ("ours - v1", "… with pydantic.v1 imported", lambda: ours(WITHOUT_V1_SHORTCUT), {"environ": OURS}),
        ("ours - access log", "… without the access log", ours, {"environ": OURS | NO_ACCESS_LOG}),
        ("ours + ssm", "… with a secret in SSM", lambda: ours(API_KEY), {"environ": ssm}),
        (
            "ours + secrets manager",
            "… with a secret in Secrets Manager",
            lambda: ours(API_KEY, secrets="secrets_manager"),
            {"environ": manager},
        ),
        ("ours + boto3", "… with a secret in SSM, read by boto3", with_boto3, {"environ": ssm}),
        ("ours largest", "**ours, with the most options**", lambda: ours(**LARGEST), {"environ": database}),
        (
            "web adapter",
            "FastAPI + uvicorn (Web Adapter)",
            lambda: install_peer("web_adapter"),
            {"command": ("app.main:app",), "is_web_server": True},
        ),
        ("powertools", "Powertools' resolver", lambda: install_peer("powertools"), {}),
        ("chalice", "Chalice", lambda: install_peer("chalice"), {"command": ("app.app",), "event": REST_API}),
        (
            "flask + zappa",
            "Flask + Zappa",
            lambda: install_peer("flask_zappa"),
            {"command": ("zappa.handler.lambda_handler",)},
        ),
    ]
    return {
        name: partial(
            create_subject, name, title, root, ({"command": OUR_COMMAND} if name.startswith("ours") else {}) | options
        )
        for name, title, root, options in rows
    }


def create_subject(name: str, title: str, root: Callable[[], Path], options: Mapping[str, Any]) -> Subject:
    """Build the task root and return the subject."""
    return Subject(name, title, root(), **options)


def install_peer(name: str, base: Path | None = None) -> Path:
    """Return the task root of a peer: its files, and its packages with .pyc files. Start from a copy of `base`."""
    peer = HERE / "peers" / name
    files = sorted(path for path in peer.rglob("*") if path.is_file())
    content = [f"{path.relative_to(peer)} {path.read_text('utf-8')}" for path in files]
    layers = Layers(CACHE / "benchmark", lambda line: None)
    key = digest(sys.version, str(base and base.parents[1].name), *content)
    with layers.making(key, "") as draft:
        if draft:
            say(f"Installing {name}...")
            if base:
                shutil.copytree(base, draft, dirs_exist_ok=True, symlinks=True)
            if (peer / "requirements.txt").exists():
                install_packages(peer / "requirements.txt", draft)
            ignore = shutil.ignore_patterns("requirements.*")
            shutil.copytree(peer, draft, dirs_exist_ok=True, ignore=ignore)
            if base:  # compile the replaced modules as the Dockerfile does
                compiled = [
                    "compileall",
                    "-q",
                    "-f",
                    "--invalidation-mode",
                    "unchecked-hash",
                    str(draft / "aws_lambda"),
                ]
                run([sys.executable, "-m", *compiled])
    return layers[key]


def install_packages(requirements: Path, target: Path) -> None:
    """Install pinned packages into a folder with pip."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run([sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", str(requirements)])
    shutil.rmtree(target / "bin", ignore_errors=True)


def without_pyc(root: Path) -> Path:
    """Return a copy of a task root without .pyc files and test folders."""
    layers = Layers(CACHE / "benchmark", lambda line: None)
    key = digest("without pyc", root.name)
    with layers.making(key, "") as draft:
        if draft:
            shutil.copytree(root, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return layers[key]


def build_service_root(folder: Path, answers: Answers, edit: Edit | None = None) -> Path:
    """Generate a project with the answers and the edit, and return the task root that its Dockerfile builds."""
    project = generate_project(folder, answers)
    for file, old, new in edit or ():
        project.edit(file, old, new)
    return build_task_root(project.path, CACHE, lambda line: None).path


def put_secrets(aws: EmbeddedAws) -> tuple[dict[str, str], dict[str, str]]:
    """Create secrets in SSM and Secrets Manager, and return the environment variables for each store."""
    aws.client("ssm").put_parameter(Name="/benchmark/API_KEY", Value="k" * 40, Type="SecureString")
    value = '{"API_KEY": "%s", "DATABASE_URL": "postgresql://nowhere"}' % ("k" * 40)
    aws.client("secretsmanager").create_secret(Name="benchmark", SecretString=value)
    names = {"SECRET_NAMES": "API_KEY"}
    return names | {"SECRETS_PATH": "/benchmark/"}, names | {"SECRET_ID": "benchmark"}


def run(command: list[str]) -> None:
    """Run a command without the variables that configure Python. Raise SystemExit if it fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}:\n{process.stderr[-2000:]}")


def say(line: str) -> None:
    """Print a progress message to stderr."""
    print(line, file=sys.stderr, flush=True)
