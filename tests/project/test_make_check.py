"""Test `make check` with generated projects. `make_check/findings.py` contains an application for each finding."""

import shutil
from pathlib import Path

import pytest

from scripts.database import new_database
from scripts.project_changes import append
from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake

FINDINGS = Path(__file__).parent / "make_check/findings.py"
# The other options do not change what is checked.
DIFFERENT = {(answers["migrations"], answers["cold_starts"]): answers for answers in COMBINATIONS}.values()


@pytest.mark.parametrize("answers", DIFFERENT, ids=combination_name)
def test_a_generated_project_has_no_problems(bake: Bake, answers: Answers) -> None:
    output = bake(**answers).run("make check").stdout
    assert output.endswith("\nNo problems found.\n")
    assert "ok       smoke_path: GET /health responds with 200" in output


@pytest.mark.parametrize("answers", [COMBINATIONS[0], COMBINATIONS[-1]], ids=combination_name)
def test_each_finding_has_advice(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = bake(**answers).copy(tmp_path)
    shutil.copy(FINDINGS, project.path / "tests/test_findings.py")
    assert " passed" in project.run("pytest -q tests/test_findings.py").stdout


def test_a_problem_has_advice_and_fails_the_command(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("deploy.toml", 'smoke_path = "/health"', 'smoke_path = "/healthz"')
    project.edit("app/settings.py", 'stage: str = "local"', 'page_size: int\n    stage: str = "local"')
    result = project.run("make check", check=False)
    assert result.returncode == 2  # of make
    assert "PROBLEM  settings: Settings requires PAGE_SIZE\n" in result.stdout
    assert "PROBLEM  smoke_path: GET /healthz responds with 404\n" in result.stdout
    assert "to a path that returns 200, such as /, /health.\n" in result.stdout
    assert result.stdout.endswith("2 problems found.\n")


def test_the_jobs_are_imported_without_the_application(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    with (project.path / "deploy.toml").open("a", encoding="utf-8") as stream:
        stream.write('\n[jobs]\nmodule = "app.jobs"\n[jobs.schedule.nightly]\nat = "rate(1 day)"\n')
    jobs = project.path / "app/jobs.py"
    jobs.write_text("from aws_lambda.jobs import job\n@job\ndef nightly() -> None: ...\n", "utf-8")
    assert "ok       jobs: app.jobs contains nightly\n" in project.run("make check").stdout
    jobs.write_text("import sys\nassert 'app.main' in sys.modules, 'no application'\n", "utf-8")
    project.edit("app/main.py", "app = ", "from app import jobs  # noqa: F401\napp = ")
    output = project.run("make check", check=False).stdout
    assert "ok       smoke_path: GET /health responds with 200" in output
    assert "PROBLEM  jobs: AssertionError: no application (app/jobs.py:2)\n" in output


def test_a_mistake_in_deploy_toml_has_advice(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    project.edit("deploy.toml", "smoke_path", "smoke_paths")
    result = project.run("make check", check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "deploy.toml: smoke_paths: unknown key.\nDid you mean smoke_path?\n" in result.stderr


def test_a_value_in_the_environment_replaces_that_of_conftest(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    append(project, "conftest.py", '\nos.environ["SECRET_KEY"] = "for the tests"\n')
    project.edit("deploy.toml", "secrets = []", 'secrets = ["SECRET_KEY"]')
    append(project, "app/main.py", '\nimport os\nassert os.environ["SECRET_KEY"] == "real", "not the real one"\n')
    assert "not the real one" in project.run("make check", check=False).stdout
    assert "No problems found." in project.run("make check", env={"SECRET_KEY": "real"}).stdout


def test_migrations_run_with_the_packages_of_the_image(bake: Bake, tmp_path: Path) -> None:
    project = bake(migrations="alembic").copy(tmp_path)
    with new_database() as url:
        environment = {"DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://")}
        result = project.run("make check", env=environment)
        assert "ok       migrations: an empty database was upgraded to the newest revision\n" in result.stdout
        append(project, "migrations/versions/0001_items.py", "\nimport httpx\n")
        result = project.run("make check", env=environment, check=False)
    problem = "PROBLEM  migrations: ModuleNotFoundError: No module named 'httpx' (migrations/versions/0001_items.py:"
    assert problem in result.stdout
    assert "run make lock" in result.stdout
