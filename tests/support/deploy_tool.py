"""Run the deploy tool of a baked project in this process, on the embedded AWS and its clock."""

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
    """Push the image of a project to the embedded ECR, and return its URI."""
    root = build_task_root(project.path, CACHE, lambda line: None)
    architecture = project.answers.get("architecture", "arm64")
    return aws.push_image("built-elsewhere", root.path, command=root.command, architecture=architecture, tag=tag)


@contextlib.contextmanager
def database_for(project: Project, aws: EmbeddedAws) -> Iterator[str]:
    """Create a database and store its URL as the secret of the project. Yield "" if the project needs no database."""
    if project.answers.get("migrations") != "alembic":
        yield ""
        return
    with new_database() as url:
        run = DeployTool(project, aws)("secret", "set", "DATABASE_URL", typed=url)
        assert run.code == 0, run.err
        yield url


def remaining_resources(aws: EmbeddedAws) -> list[str]:
    """Return all resources of services, as AWS lists them, except the repository that `push_image` uses."""
    return [resource for resource in find_resources(aws.client) if resource != "ecr built-elsewhere"]


class DeployTool:
    """The deploy tool of a project: `DeployTool(project, aws)("--stage", "dev", "status")` runs a command.

    It runs in this process and sends its AWS calls without a network. When it waits, the clock of the embedded AWS
    advances instead.
    """

    def __init__(self, project: Project, aws: EmbeddedAws) -> None:
        self.aws = aws
        self._project = project.path
        modules = _import_deploy_tool(project.path)
        self._cli: Any = modules["deploy.cli"]
        self._options: Any = modules["deploy.options"]
        self._stage_class: Any = modules["deploy.stage"].__dict__["Stage"]

    def __call__(self, *arguments: str, typed: str | bytes = "") -> Run:
        """Run a command with `typed` as its standard input."""
        clock = self.aws.clock

        def stage_with_clock(*args: Any, **options: Any) -> Any:
            return self._stage_class(*args, **options, sleep=clock.sleep, clock=clock.time)

        variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        out, err = io.StringIO(), io.StringIO()
        standard_input = typed if isinstance(typed, bytes) else typed.encode()
        with (
            patch.dict(os.environ, variables | self.aws.environ, clear=True),
            patch.object(self._options, "PROJECT", self._project),
            patch.object(self._options, "Stage", stage_with_clock),
            patch("botocore.session.get_session", _session),
            patch.object(_Session, "aws", self.aws, create=True),
            patch("botocore.endpoint.time", clock),  # it sleeps before it repeats a call
            # A new process has an unused quota of retries.
            patch("botocore.retries.quota.RetryQuota.acquire", lambda quota, amount: True),
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(standard_input), encoding="utf-8")),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = self._cli.main(list(arguments))
        return Run(code, out.getvalue(), err.getvalue())


@dataclass
class DeployedService:
    """A service that is live: its project, the deploy tool in this process, and its public URL."""

    aws: EmbeddedAws
    project: Project
    deploy: DeployTool
    url: str


def run_in_process(project: Project, aws: EmbeddedAws, *arguments: str, typed: str = "") -> Run:
    """Run a command of the deploy tool in this process. The arguments are those of `run_deploy_sh`."""
    return DeployTool(project, aws)(*arguments, typed=typed)


def _import_deploy_tool(project: Path) -> dict[str, ModuleType]:
    """Import the package `deploy` of a project and return its modules by name.

    Projects whose `deploy` has the same content share the modules, which saves most of the time of a short test.
    """
    sources = sorted((project / "deploy").rglob("*.py"))
    content = tuple((str(file.relative_to(project)), file.read_bytes()) for file in sources)
    for name in _imported_modules():
        del sys.modules[name]
    if content not in _MODULES:
        with patch.object(sys, "path", [str(project), *sys.path]), patch.object(sys, "dont_write_bytecode", True):
            importlib.import_module("deploy.cli")
        _MODULES[content] = _imported_modules()
    sys.modules.update(_MODULES[content])
    return _MODULES[content]


def _imported_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "deploy"}


_MODULES: dict[object, dict[str, ModuleType]] = {}


class _Session(botocore.session.Session):
    """A session that reuses its clients, because creating one takes longer than most of its calls."""

    aws: ClassVar[EmbeddedAws]  # the receiver of all calls; DeployTool sets it for each run

    def __init__(self) -> None:
        super().__init__()
        self._clients: dict[str, Any] = {}

    def create_client(self, name: Any, region_name: Any = None, *_: Any, config: Any = None, **__: Any) -> Any:  # type: ignore[override]
        """Return the client of a service, and create it on first use."""
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
