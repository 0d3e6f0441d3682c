"""The subjects of the benchmark: variants of our service, and alternatives. All return the same response to GET /.

The packages of the alternatives are pinned in `peers/<name>/requirements.txt` and installed on first use.
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
# What a deploy sets for the generated service.
OURS = {"STAGE": "prod", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
OUR_COMMAND = ("aws_lambda.handler.handler",)
UNGUARDED = {"FAST_IMPORT": "false"}
NO_ACCESS_LOG = {"AWS_LAMBDA_LOG_LEVEL": "WARN"}
LARGEST = {
    "endpoint": "http_api",
    "secrets": "secrets_manager",
    "migrations": "alembic",
    "cold_starts": "snapstart",
}
Edit = tuple[tuple[str, str, str], ...]  # file, what it says, what it is to say
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
SEED = "seed"  # what all ratios are relative to


@dataclass(frozen=True)
class Subject:
    """`root` is its /var/task, which nothing writes to."""

    name: str
    title: str
    root: Path
    command: tuple[str, ...] = ("app.main.handler",)
    environ: Mapping[str, str] = field(default_factory=dict)
    event: bytes = FUNCTION_URL
    is_web_server: bool = False


def subjects_by_name(bakes: Path, aws: EmbeddedAws) -> dict[str, Callable[[], Subject]]:
    """Return a function for each subject that creates it. Generate projects in the folder, and put secrets into AWS."""
    parameter, secret = put_secrets(aws)
    ssm = OURS | parameter | aws.environ
    manager = OURS | secret | aws.environ
    database = manager | {"SECRET_NAMES": "DATABASE_URL"}

    @cache
    def ours(edit: Edit | None = None, **answers: str) -> Path:
        return laid_out(bakes / str(len(list(bakes.iterdir()))), answers, edit)

    def with_boto3() -> Path:
        return installed("boto3", ours(API_KEY))

    rows: list[tuple[str, str, Callable[[], Path], dict[str, Any]]] = [
        ("bare", "a bare handler", lambda: installed("bare"), {}),
        (SEED, "minimal FastAPI + Mangum (the seed)", lambda: installed("seed"), {}),
        ("seed again", "the same again, as a control", lambda: installed("seed"), {}),
        ("seed without pyc", "… without .pyc, as the article advises", lambda: without_pyc(installed("seed")), {}),
        ("ours", "**ours, default**", ours, {"environ": OURS}),
        ("ours unguarded", "… with FAST_IMPORT off", ours, {"environ": OURS | UNGUARDED}),
        ("ours - gc", "… with garbage collection during imports", lambda: ours(WITHOUT_GC), {"environ": OURS}),
        (
            "ours - defer_build",
            "… without deferred OpenAPI models",
            lambda: ours(WITHOUT_DEFER_BUILD),
            {"environ": OURS},
        ),
        ("ours - v1", "… with pydantic.v1 imported", lambda: ours(WITHOUT_V1_SHORTCUT), {"environ": OURS}),
        ("ours unlogged", "… without the access log", ours, {"environ": OURS | NO_ACCESS_LOG}),
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
            lambda: installed("web_adapter"),
            {"command": ("app.main:app",), "is_web_server": True},
        ),
        ("powertools", "Powertools' resolver", lambda: installed("powertools"), {}),
        ("chalice", "Chalice", lambda: installed("chalice"), {"command": ("app.app",), "event": REST_API}),
        (
            "flask + zappa",
            "Flask + Zappa",
            lambda: installed("flask_zappa"),
            {"command": ("zappa.handler.lambda_handler",)},
        ),
    ]
    ours_only = {"command": OUR_COMMAND}
    return {
        name: partial(made, name, title, root, {**(ours_only if name.startswith("ours") else {}), **options})
        for name, title, root, options in rows
    }


def made(name: str, title: str, root: Callable[[], Path], options: Mapping[str, Any]) -> Subject:
    return Subject(name, title, root(), **options)


def installed(name: str, base: Path | None = None) -> Path:
    """The task root of a peer: its packages as pip installs them, with .pyc, and its files; on top of `base`."""
    peer = HERE / "peers" / name
    files = sorted(path for path in peer.rglob("*") if path.is_file())
    content = [f"{path.relative_to(peer)} {path.read_text('utf-8')}" for path in files]
    layers = Layers(CACHE / "benchmark", lambda line: None)
    key = digest(sys.version, str(base and base.parents[1].name), *content)
    with layers.making(key, "") as draft:
        if draft:
            say(f"Laying out {name}...")
            if base:
                shutil.copytree(base, draft, dirs_exist_ok=True, symlinks=True)
            if (peer / "requirements.txt").exists():
                install(peer / "requirements.txt", draft)
            hidden = shutil.ignore_patterns("requirements.*")
            shutil.copytree(peer, draft, dirs_exist_ok=True, ignore=hidden)
            if base:  # as its Dockerfile does, for what has taken the place of its own
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


def install(requirements: Path, target: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    run([sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", str(requirements)])
    shutil.rmtree(target / "bin", ignore_errors=True)


def without_pyc(root: Path) -> Path:
    layers = Layers(CACHE / "benchmark", lambda line: None)
    key = digest("without pyc", root.name)
    with layers.making(key, "") as draft:
        if draft:
            shutil.copytree(root, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return layers[key]


def laid_out(folder: Path, answers: Answers, edit: Edit | None = None) -> Path:
    """The task root of a bake with these answers, by its own Dockerfile."""
    project = generate_project(folder, answers)
    for file, old, new in edit or ():
        project.edit(file, old, new)
    return build_task_root(project.path, CACHE, lambda line: None).path


def put_secrets(aws: EmbeddedAws) -> tuple[dict[str, str], dict[str, str]]:
    """The variables by which a service finds its secrets in SSM, and in Secrets Manager."""
    aws.client("ssm").put_parameter(Name="/benchmark/API_KEY", Value="k" * 40, Type="SecureString")
    value = '{"API_KEY": "%s", "DATABASE_URL": "postgresql://nowhere"}' % ("k" * 40)
    aws.client("secretsmanager").create_secret(Name="benchmark", SecretString=value)
    names = {"SECRET_NAMES": "API_KEY"}
    return names | {"SECRETS_PATH": "/benchmark/"}, names | {"SECRET_ID": "benchmark"}


def run(command: list[str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr[-2000:]}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
