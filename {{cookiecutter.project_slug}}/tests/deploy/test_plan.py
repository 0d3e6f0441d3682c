"""A plan tells what the next deploy would do, and does none of it."""

import json

import pytest

from tests.deploy.cloud import Cloud


def test_before_the_first_deploy_everything_is_new(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    assert cloud.run("plan", "--image", image, "--detailed-exitcode") == 2
    assert cloud.mutations == []
    shown = capsys.readouterr().out
    assert f"+ function {cloud.name}\n" in shown
    assert "    MemorySize: 512\n" in shown
    assert "~ live: nothing → a new version\n" in shown


def test_after_a_deploy_there_is_nothing_to_do(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    capsys.readouterr()
    assert cloud.run("plan", "--image", image, "--detailed-exitcode") == 0
    assert capsys.readouterr().out.endswith("\nNothing to change.\n")


def test_each_field_that_differs_is_told_and_no_other(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.configure("memory_mb = 1024")
    cloud.configure('environment = { COLOUR = "red" }')
    cloud.client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{cloud.name}", retentionInDays=1)
    capsys.readouterr()
    assert cloud.run("plan", "--image", image) == 0
    assert cloud.mutations == []
    told = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert f"~ function {cloud.name}" in told
    assert "MemorySize: 512 → 1024" in told
    assert "Environment.Variables.COLOUR: null → red" in told
    assert f"~ log group /aws/lambda/{cloud.name}" in told
    assert "retentionInDays: 1 → 30" in told
    assert "~ live: version 1 → a new version" in told
    assert not [line for line in told if line.startswith("Timeout")]


def test_as_data(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.run("--image", image)
    cloud.client("logs").put_retention_policy(logGroupName=f"/aws/lambda/{cloud.name}", retentionInDays=7)
    capsys.readouterr()
    assert cloud.run("plan", "--image", image, "--json", "--detailed-exitcode") == 2
    assert json.loads(capsys.readouterr().out) == {
        "new_version": False,
        "changes": [
            {
                "action": "update",
                "kind": "log group",
                "name": f"/aws/lambda/{cloud.name}",
                "fields": {"retentionInDays": {"is": 7, "should_be": 30}},
            }
        ],
    }


def test_an_image_that_is_still_to_be_built_is_named_by_its_content(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.run("--image", cloud.push_image())
    capsys.readouterr()
    assert cloud.run("plan") == 0
    assert f" → {cloud.name}:" in (shown := capsys.readouterr().out)
    assert ", to be built" in shown
