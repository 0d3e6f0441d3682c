"""Secrets: set without being shown, checked before a deploy, effective with the next one."""

import pytest

from tests.deploy.cloud import Cloud

VALUE = "correct horse battery staple"


def test_a_value_is_never_shown(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.run("secret", "set", "API_KEY", typed=VALUE) == 0
    assert cloud.run("secret", "list") == 0
    shown = capsys.readouterr()
    assert "API_KEY" in shown.out
    assert VALUE not in shown.out + shown.err


@pytest.mark.parametrize("value", ["", "\n", b"\xff"])
def test_a_value_that_is_empty_or_no_text_is_refused(cloud: Cloud, value: str | bytes) -> None:
    assert cloud.run("secret", "set", "API_KEY", typed=value) == 2
    assert cloud.calls == []


def test_a_deploy_needs_the_value_of_every_secret(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    assert cloud.run("--image", image) == 1
    assert "secret set API_KEY" in capsys.readouterr().err
    assert cloud.mutations == []


def test_a_new_value_makes_a_new_version(cloud: Cloud) -> None:
    image = cloud.push_image()
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("secret", "set", "API_KEY", typed="old")
    cloud.run("--image", image)
    cloud.run("--image", image)
    assert cloud.mutations == []
    cloud.run("secret", "set", "API_KEY", typed="new")
    assert cloud.run("--image", image) == 0
    assert cloud.live_version() == "2"
    environment = cloud.client("lambda").get_function_configuration(FunctionName=cloud.name)["Environment"]["Variables"]
    assert environment["SECRET_NAMES"] == "API_KEY"
    assert "new" not in environment.values()


def test_a_secret_in_use_cannot_be_removed(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    image = cloud.push_image()
    cloud.run("secret", "set", "API_KEY", typed=VALUE)
    cloud.configure('secrets = ["API_KEY"]')
    cloud.run("--image", image)
    cloud.configure("secrets = []")
    assert cloud.run("secret", "remove", "API_KEY") == 1  # the live version still reads it
    cloud.run("--image", image)
    assert cloud.run("secret", "remove", "API_KEY") == 0
    assert cloud.run("secret", "remove", "API_KEY") == 1
    assert "There is no secret API_KEY" in capsys.readouterr().err
