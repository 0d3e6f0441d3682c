"""Test that `make check` reports what would fail on Lambda."""

from tests.check_application import join
from tests.check_fixtures import FASTAPI, JOBS, Check

pytest_plugins = ["tests.check_fixtures"]


def test_an_application_without_problems(check: Check) -> None:
    output = check(f"import os\nos.environ['LEVEL']\n{FASTAPI}", environment={"LEVEL": "5"})
    names = [line.removeprefix("ok ").partition(":")[0].strip() for line in output.splitlines() if line[:3] == "ok "]
    assert names == ["import", "settings", "smoke_path", "check_path", "routes"]
    assert "plain def" not in output
    assert "streams" not in output


def test_a_problem_has_advice(check: Check) -> None:
    output = check("import httpx")
    assert "PROBLEM  import: ModuleNotFoundError: No module named 'httpx'" in output
    assert "make lock" in output


def test_jobs_without_problems(check_my_jobs: Check) -> None:
    assert check_my_jobs(JOBS, "nightly") == "ok       jobs: aws_lambda.my_jobs contains nightly, report\n"
    assert check_my_jobs("") == "ok       jobs: aws_lambda.my_jobs contains none\n"


def test_a_problem_with_jobs_has_advice(check_my_jobs: Check) -> None:
    first, second = check_my_jobs(JOBS, "weekly").splitlines()
    assert first == "PROBLEM  jobs: aws_lambda.my_jobs has no job weekly"
    assert second.strip() == "Define it there with @job, or remove it from [jobs.schedule] in deploy.toml."


def test_long_lists_are_shortened() -> None:
    assert join("abcdefg") == "a, b, c, d, e and 2 more"
{% if cookiecutter.cold_starts == 'snapstart' %}


def test_secrets_are_not_set_during_the_import_for_a_snapshot(check: Check) -> None:
    import_time = f"import os\nos.environ['API_KEY']\n{FASTAPI}"
    request_time = FASTAPI.replace("return {}", "import os; return {'key': os.environ['API_KEY']}")
    output = check(import_time, {"API_KEY": "a"})
    assert "PROBLEM  import: KeyError: 'API_KEY' (aws_lambda/application.py:2)\n         With SnapStart" in output
    assert "ok       smoke_path" in check(request_time, {"API_KEY": "a"})
    assert "ok       import" in check(import_time, {"API_KEY": "a"}, snapstart=False)
{% endif %}
