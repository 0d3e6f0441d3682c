"""What was live before is live again, unless it does not work."""

import pytest

from tests.deploy.cloud import Cloud, service_answers
from tests.deploy.test_deploy import answers_500


@pytest.fixture
def two_releases(cloud: Cloud) -> Cloud:
    for tag in ("one", "two"):
        assert cloud.run("--image", cloud.push_image(tag)) == 0
    return cloud


def test_the_release_before_is_live_again(two_releases: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert two_releases.run("rollback") == 0
    assert two_releases.live_version() == "1"
    assert "Version 1 is live instead of 2. To undo it: ./deploy.sh rollback 2\n" in capsys.readouterr().out
    assert two_releases.mutations[0] == "UpdateAlias"
{% if cookiecutter.cold_starts == 'provisioned_concurrency' %}


def test_it_is_ready_before_it_is_live(cloud: Cloud) -> None:
    cloud.configure("provisioned_concurrency = { executions = 2 }")
    for tag in ("one", "two"):
        cloud.run("--image", cloud.push_image(tag))
    assert cloud.run("rollback") == 0
    assert cloud.calls.index("PutProvisionedConcurrencyConfig") < cloud.calls.index("UpdateAlias")
    assert cloud.provisioning.executions == {f"{cloud.name}:1": 2}
{% endif %}


def test_where_it_came_from_is_nothing_to_go_back_to(two_releases: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    two_releases.run("rollback")
    assert two_releases.run("rollback") == 1
    assert "Name one that is kept: ./deploy.sh rollback 1 | 2\n" in capsys.readouterr().err
    assert two_releases.run("rollback", "2") == 0
    assert two_releases.live_version() == "2"


def test_one_that_fails_its_smoke_test_is_refused_unless_forced(
    two_releases: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    two_releases.answer = answers_500
    assert two_releases.run("rollback") == 1
    assert two_releases.mutations == []
    error = capsys.readouterr().err
    assert "Version 1 failed its smoke test" in error
    assert "Version 2 still is live" in error
    assert two_releases.run("rollback", "--force") == 1  # the URL answers 500
    assert two_releases.live_version() == "1"
    two_releases.answer = service_answers
    assert two_releases.run("rollback", "1") == 0
    assert two_releases.mutations == []


def test_a_version_that_is_not_there(two_releases: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert two_releases.run("rollback", "7") == 1
    assert capsys.readouterr().err == "There is no version 7.\nName one that is kept: ./deploy.sh rollback 1 | 2\n"


def test_before_the_first_deploy(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("rollback") == 1
    assert "has no release in stage prod" in capsys.readouterr().err
