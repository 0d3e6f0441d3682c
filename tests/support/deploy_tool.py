"""Runs a baked project's deploy tool on the embedded AWS: as its owner does, or in this process on AWS's own clock."""

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from unittest.mock import patch

import botocore.session

from embedded_aws import EmbeddedAws
from embedded_aws.containers.task_root import build_task_root
from scripts.database import new_database
from scripts.deploy_tool import Run
from scripts.projects import TEMPLATE, Project
from scripts.remaining_resources import find_resources

CACHE = TEMPLATE / ".cache"


def push_image(project: Project, aws: EmbeddedAws, tag: str | None = None) -> str:
    """The project's image in the embedded ECR; its URI."""
    root = build_task_root(project.path, CACHE, lambda line: None)
    architecture = project.answers.get("architecture", "arm64")
    return aws.push_image("built-elsewhere", root.path, command=root.command, architecture=architecture, tag=tag)


@contextlib.contextmanager
def database_for(project: Project, aws: EmbeddedAws) -> Iterator[str]:
    """The URL of the database that the service needs by its answers, set as its secret; empty when it needs none."""
    if project.answers.get("migrations") != "alembic":
        yield ""
        return
    with new_database() as url:
        told = DeployTool(project, aws)("secret", "set", "DATABASE_URL", typed=url)
        assert told.code == 0, told.err
        yield url


def remaining_resources(aws: EmbeddedAws) -> list[str]:
    """Everything of a service that is still there, asked of each service and not of the deploy tool."""
    return [one for one in find_resources(aws.client) if one != "ecr built-elsewhere"]


class DeployTool:
    """The deploy tool in this process, without a network; waiting advances the embedded AWS's clock."""

    def __init__(self, project: Project, aws: EmbeddedAws) -> None:
        self.aws = aws
        self._project = project.path
        modules = _imported(project.path)
        self._cli: Any = modules["deploy.cli"]
        self._options: Any = modules["deploy.options"]
        self._stage_class: Any = modules["deploy.stage"].__dict__["Stage"]

    def __call__(self, *arguments: str, typed: str | bytes = "") -> Run:
        clock = self.aws.clock

        def stage_with_clock(*args: Any, **options: Any) -> Any:
            return self._stage_class(*args, **options, sleep=clock.sleep, clock=clock.time)

        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        out, err = io.StringIO(), io.StringIO()
        sent = typed if isinstance(typed, bytes) else typed.encode()
        with (
            patch.dict(os.environ, kept | self.aws.environ, clear=True),
            patch.object(self._options, "PROJECT", self._project),
            patch.object(self._options, "Stage", stage_with_clock),
            patch("botocore.session.get_session", _session),
            patch.object(_Session, "aws", self.aws, create=True),
            patch("botocore.endpoint.time", clock),  # on which it sleeps before it repeats a call
            patch("botocore.retries.quota.RetryQuota.acquire", lambda quota, amount: True),  # each process has its own
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent), encoding="utf-8")),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = self._cli.main(list(arguments))
        return Run(code, out.getvalue(), err.getvalue())


@dataclass
class DeployedService:
    """A service that is live: the project, its deploy tool in this process, and its public URL."""

    aws: EmbeddedAws
    project: Project
    deploy: DeployTool
    url: str


def run_in_process(project: Project, aws: EmbeddedAws, *arguments: str, typed: str = "") -> Run:
    """What deploy_sh does, in this process."""
    return DeployTool(project, aws)(*arguments, typed=typed)


def _imported(project: Path) -> dict[str, ModuleType]:
    """The modules of this project's `deploy`, by name. What is the same in another project is not imported again."""
    sources = sorted((project / "deploy").rglob("*.py"))
    content = tuple((str(file.relative_to(project)), file.read_bytes()) for file in sources)
    for name in [name for name in sys.modules if name.partition(".")[0] == "deploy"]:
        del sys.modules[name]
    if content not in _MODULES:
        with patch.object(sys, "path", [str(project), *sys.path]), patch.object(sys, "dont_write_bytecode", True):
            importlib.import_module("deploy.cli")
        _MODULES[content] = {name: sys.modules[name] for name in sys.modules if name.partition(".")[0] == "deploy"}
    sys.modules.update(_MODULES[content])
    return _MODULES[content]


_MODULES: dict[object, dict[str, ModuleType]] = {}


class _Session(botocore.session.Session):
    """Keeps its clients: making one takes longer than most of what is done with it."""

    aws: ClassVar[EmbeddedAws]  # that their calls go to, now

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, Any] = {}

    def create_client(self, name: Any, region_name: Any = None, *_: Any, config: Any = None, **__: Any) -> Any:  # type: ignore[override]
        region_name = region_name or self.get_config_variable("region")
        key = f"{name} {region_name} {config and vars(config)}"
        if key not in self._clients:
            self._clients[key] = super().create_client(name, region_name=region_name, config=config)
            self._clients[key].meta.events.register("before-send", lambda request, **_: self.aws.send(request))
        return self._clients[key]

    def register(self, event_name: str, handler: Any, *arguments: Any, **options: Any) -> None:
        """Add the additional methods of boto3's clients once, although each session of boto3 registers them again."""
        if event_name.startswith("creating-client-class"):
            options.setdefault("unique_id", event_name)
        super().register(event_name, handler, *arguments, **options)


_session = cache(_Session)
