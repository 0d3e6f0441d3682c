"""Fixtures that check a small application or a small jobs module, for the tests of check_application.py."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.config import Config
from tests.check_application import PROJECT, Report, check_jobs, check_service, image_folder

Check = Callable[..., str]
ROUTE = """
@app.get("/health")
async def health() -> dict[str, str]:
    return {}
"""
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n" + ROUTE
JOBS = """
import os
from aws_lambda.jobs import job
LEVEL = os.environ["LEVEL"]
API_KEY = os.environ["API_KEY"]
@job
async def nightly(limit: int = 5) -> None: ...
@job
def report(month: str) -> None: ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the adapter. A test writes the application into it."""
    for name in ("Dockerfile", "requirements.txt", "aws_lambda"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, tmp_path / name)
    (tmp_path / ".dockerignore").write_text("*\n!aws_lambda\n", "utf-8")
    return tmp_path


def run_check(function: Callable[..., None], project: Path, secrets: dict[str, str], **settings: Any) -> int:
    """Run a check with these secrets and settings in deploy.toml. Return the number of problems."""
    values = {"stage": "prod", "name": "my-api", "region": "eu-central-1", "check_path": "/health", **settings}
    config = Config.model_validate({**values, "secrets": list(secrets)})
    report = Report()
    with image_folder(project) as image:
        function(report, project, image, config, secrets)
    return report.problems


@pytest.fixture
def check(project: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Return a function that checks an application and returns the output."""

    def check(code: str, secrets: dict[str, str] | None = None, **settings: Any) -> str:
        (project / "aws_lambda/application.py").write_text(code, "utf-8")
        problems = run_check(check_service, project, secrets or {}, **settings)
        output = capsys.readouterr().out
        assert output.count("PROBLEM") == problems
        return output

    return check


@pytest.fixture
def check_my_jobs(project: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Return a function that checks a jobs module and returns the output."""

    def check_my_jobs(code: str, *scheduled: str, module: str = "aws_lambda.my_jobs") -> str:
        (project / "aws_lambda/my_jobs.py").write_text(code, "utf-8")
        schedule = {name: {"at": "cron(0 3 * * ? *)"} for name in scheduled}
        settings = {"environment": {"LEVEL": "5"}, "jobs": {"module": module, "schedule": schedule}}
        problems = run_check(check_jobs, project, {"API_KEY": "a"}, **settings)
        output = capsys.readouterr().out
        assert output.count("PROBLEM") == problems
        return output

    return check_my_jobs
