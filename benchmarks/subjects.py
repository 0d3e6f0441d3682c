"""What is measured: our service in several shapes, and what one would use instead. Each answers GET / with {"ok": true}.

What others need is pinned in `peers/<name>/requirements.txt` and installed into a folder of its own on first use.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.baking import TEMPLATE, Answers, Project, bake_into
from tests.embedded_aws import EmbeddedAws
from tests.embedded_aws.layers import Layers, digest
from tests.embedded_aws.task_root import build_task_root

HERE = Path(__file__).parent
CACHE = TEMPLATE / ".cache"
FUNCTION_URL = (HERE / "events/function_url.json").read_bytes()
REST_API = (HERE / "events/rest_api.json").read_bytes()
# What a deploy sets for the generated service.
OURS = {"STAGE": "prod", "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
UNGUARDED = {"FAST_IMPORT": "false"}
LARGEST = {
    "endpoint": "http_api",
    "secrets": "secrets_manager",
    "migrations": "alembic",
    "cold_starts": "snapstart",
}
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


def all_subjects(bakes: Path, aws: EmbeddedAws) -> Iterator[Subject]:
    """Bakes into the folder; secrets are read from this AWS."""
    seed = Subject(SEED, "the seed's minimal FastAPI + Mangum", installed("seed"))
    yield Subject("bare", "a bare handler", installed("bare"))
    yield seed
    yield replace(seed, name="seed again", title="the same once more (A/A control)")
    yield replace(seed, name="seed without pyc", title="… without .pyc, as the seed advises", root=without_pyc(seed.root))

    default = Subject("ours", "**ours, default**", laid_out(bakes / "default"), environ=OURS)
    yield default
    yield replace(default, name="ours unguarded", title="… guarded levers off", environ=OURS | UNGUARDED)
    parameter, secret = put_secrets(aws)
    with_ssm = laid_out(bakes / "ssm", secret="api_key")
    ssm = OURS | parameter | aws.environ
    yield Subject("ours + ssm", "… with a secret in SSM", with_ssm, environ=ssm)
    yield Subject(
        "ours + secrets manager",
        "… with a secret in Secrets Manager",
        laid_out(bakes / "secrets", {"secrets": "secrets_manager"}, secret="api_key"),
        environ=OURS | secret | aws.environ,
    )
    yield Subject("ours + boto3", "… with the secret in SSM read by boto3", installed("boto3", with_ssm), environ=ssm)
    largest = laid_out(bakes / "largest", LARGEST)
    database = secret | {"SECRET_NAMES": "DATABASE_URL"}
    yield Subject("ours largest", "ours, most options", largest, environ=OURS | database | aws.environ)

    yield Subject(
        "web adapter", "FastAPI + uvicorn (Web Adapter)", installed("web_adapter"), ("app.main:app",), is_web_server=True
    )
    yield Subject("powertools", "Powertools' resolver", installed("powertools"))
    yield Subject("chalice", "Chalice", installed("chalice"), ("app.app",), event=REST_API)
    yield Subject("flask + zappa", "Flask + Zappa", installed("flask_zappa"), ("zappa.handler.lambda_handler",))


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
                compiled = ["compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", str(draft / "app")]
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


def laid_out(folder: Path, answers: Answers | None = None, secret: str = "") -> Path:
    """The task root of a bake with these answers, by its own Dockerfile; its settings have this secret, if any."""
    project = bake_into(folder, answers)
    if secret:
        add_secret(project, secret)
    return build_task_root(project.path, CACHE, lambda line: None).path


def add_secret(project: Project, name: str) -> None:
    project.edit("app/settings.py", "from pydantic import ", "from pydantic import SecretStr, ")
    project.edit("app/settings.py", "docs: bool = True", f"{name}: SecretStr\n    docs: bool = True")


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
