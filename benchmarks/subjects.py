"""The subjects of the benchmark: variants of the generated service, and alternatives.

All of them return the same response to GET /. The packages of the alternatives are pinned in
`peers/<name>/requirements.txt` and installed on first use.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.common import CACHE, layers, run, say
from benchmarks.pythons import Python, install_packages
from embedded_aws import EmbeddedAws
from embedded_aws.containers.layers import digest
from embedded_aws.containers.task_root import build_task_root
from scripts.projects import Answers, generate_project

HERE = Path(__file__).parent
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
WITHOUT_DEFER_BUILD: Edit = ((COLD_START, "    with deferred_models():", "    if True:"),)
WITHOUT_LAZY_IMPORTS: Edit = ((COLD_START, "    if sys.version_info[:2] != (3, 15) or", "    if True or"),)
WITHOUT_V1_SHORTCUT: Edit = (
    (COLD_START, 'lambda cls: "pydantic.v1" in sys.modules and is_v1_model(cls)', "is_v1_model"),
)
SEED = "seed"  # the base of all ratios
# The subjects that are measured on all versions of Python. The others are measured on the first version only.
ON_ALL_PYTHONS = (
    SEED,
    "seed again",
    "typical",
    "ours",
    "ours - fast_import",
    "ours - lazy",
    "ours largest",
    "ours largest - fast_import",
)


@dataclass(frozen=True)
class Subject:
    """A service on a version of Python. `root` is its task root (/var/task), which must not be changed."""

    name: str
    title: str
    python: Python
    root: Path
    command: tuple[str, ...] = ("app.main.handler",)
    environ: Mapping[str, str] = field(default_factory=dict)
    event: bytes = FUNCTION_URL
    is_web_server: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Return the name and the version of Python, which identify the subject."""
        return self.name, self.python.version


def subjects_by_name(bakes: Path, aws: EmbeddedAws) -> dict[str, Callable[[Python], Subject]]:
    """Return a function that creates each subject. Generate projects in `bakes` and put secrets into AWS."""
    parameter, secret = put_secrets(aws)
    ssm = OURS | parameter | aws.environ
    manager = OURS | secret | aws.environ
    database = manager | {"SECRET_NAMES": "DATABASE_URL"}

    @cache
    def build(python: Python, edit: Edit, **answers: str) -> Path:
        return build_service_root(bakes / str(len(list(bakes.iterdir()))), answers, edit, python)

    def ours(edit: Edit = (), **answers: str) -> Callable[[Python], Path]:
        return lambda python: build(python, edit, **answers)

    largest = ours((), **LARGEST)

    def peer(name: str) -> Callable[[Python], Path]:
        return partial(install_peer, name)

    def with_boto3(python: Python) -> Path:
        return install_peer("boto3", python, ours(API_KEY)(python))

    def seed_without_pyc(python: Python) -> Path:
        return without_pyc(install_peer("seed", python))

    rows: list[tuple[str, str, Callable[[Python], Path], dict[str, Any]]] = [
        ("bare", "a bare handler", peer("bare"), {}),
        (SEED, "minimal FastAPI + Mangum (the seed)", peer("seed"), {}),
        ("seed again", "the same again, as a control", peer("seed"), {}),
        ("seed without pyc", "… without .pyc, as the article advises", seed_without_pyc, {}),
        ("typical", "… with settings and a typed response", peer("typical"), {}),
        ("ours", "**ours, default**", ours(), {"environ": OURS}),
        ("ours - fast_import", "… with FAST_IMPORT off", ours(), {"environ": OURS | NO_FAST_IMPORT}),
        ("ours - lazy", "… without lazy imports", ours(WITHOUT_LAZY_IMPORTS), {"environ": OURS}),
        ("ours - gc", "… with garbage collection during imports", ours(WITHOUT_GC), {"environ": OURS}),
        ("ours - defer_build", "… without deferred OpenAPI models", ours(WITHOUT_DEFER_BUILD), {"environ": OURS}),
        ("ours - v1", "… with pydantic.v1 imported", ours(WITHOUT_V1_SHORTCUT), {"environ": OURS}),
        ("ours - access log", "… without the access log", ours(), {"environ": OURS | NO_ACCESS_LOG}),
        ("ours + ssm", "… with a secret in SSM", ours(API_KEY), {"environ": ssm}),
        (
            "ours + secrets manager",
            "… with a secret in Secrets Manager",
            ours(API_KEY, secrets="secrets_manager"),
            {"environ": manager},
        ),
        ("ours + boto3", "… with a secret in SSM, read by boto3", with_boto3, {"environ": ssm}),
        ("ours largest", "**ours, with the most options**", largest, {"environ": database}),
        (
            "ours largest - fast_import",
            "… the most options with FAST_IMPORT off",
            largest,
            {"environ": database | NO_FAST_IMPORT},
        ),
        (
            "web adapter",
            "FastAPI + uvicorn (Web Adapter)",
            peer("web_adapter"),
            {"command": ("app.main:app",), "is_web_server": True},
        ),
        ("powertools", "Powertools' resolver", peer("powertools"), {}),
        ("chalice", "Chalice", peer("chalice"), {"command": ("app.app",), "event": REST_API}),
        ("flask + zappa", "Flask + Zappa", peer("flask_zappa"), {"command": ("zappa.handler.lambda_handler",)}),
    ]
    return {
        name: partial(
            create_subject, name, title, root, ({"command": OUR_COMMAND} if name.startswith("ours") else {}) | options
        )
        for name, title, root, options in rows
    }


def create_subjects(
    constructors: Mapping[str, Callable[[Python], Subject]], names: Sequence[str], pythons: Sequence[Python]
) -> list[Subject]:
    """Build the task roots of the named subjects on the versions of Python that they are measured on."""
    return [
        constructors[name](python) for name in names for python in (pythons if name in ON_ALL_PYTHONS else pythons[:1])
    ]


def create_subject(
    name: str, title: str, root: Callable[[Python], Path], options: Mapping[str, Any], python: Python
) -> Subject:
    """Build the task root and return the subject."""
    return Subject(name, title, python, root(python), **options)


def install_peer(name: str, python: Python, base: Path | None = None) -> Path:
    """Return the task root of a peer: its files, and its packages with .pyc files. Start from a copy of `base`."""
    peer = HERE / "peers" / name
    files = sorted(path for path in peer.rglob("*") if path.is_file())
    content = [f"{path.relative_to(peer)} {path.read_text('utf-8')}" for path in files]
    roots = layers()
    key = digest(python.build, str(base and base.parents[1].name), *content)
    with roots.create_layer(key, "") as draft:
        if draft:
            say(f"Installing {name} for Python {python.version}...")
            if base:
                shutil.copytree(base, draft, dirs_exist_ok=True, symlinks=True)
            if (peer / "requirements.txt").exists():
                install_packages(python.executable, peer / "requirements.txt", draft)
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
                run([python.executable, "-m", *compiled])
    return roots[key]


def without_pyc(root: Path) -> Path:
    """Return a copy of a task root without .pyc files and test folders."""
    roots = layers()
    key = digest("without pyc", root.name)
    with roots.create_layer(key, "") as draft:
        if draft:
            shutil.copytree(root, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return roots[key]


def build_service_root(folder: Path, answers: Answers, edit: Edit, python: Python) -> Path:
    """Generate a project with the answers and the edit, and return the task root that its Dockerfile builds."""
    project = generate_project(folder, answers)
    for file, old, new in edit:
        project.edit(file, old, new)
    return build_task_root(project.path, CACHE, lambda line: None, python.executable).path


def put_secrets(aws: EmbeddedAws) -> tuple[dict[str, str], dict[str, str]]:
    """Create secrets in SSM and Secrets Manager, and return the environment variables for each store."""
    aws.client("ssm").put_parameter(Name="/benchmark/API_KEY", Value="k" * 40, Type="SecureString")
    value = '{"API_KEY": "%s", "DATABASE_URL": "postgresql://nowhere"}' % ("k" * 40)
    aws.client("secretsmanager").create_secret(Name="benchmark", SecretString=value)
    names = {"SECRET_NAMES": "API_KEY"}
    return names | {"SECRETS_PATH": "/benchmark/"}, names | {"SECRET_ID": "benchmark"}
