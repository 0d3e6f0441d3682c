"""Secrets: set without being shown, checked before a deploy, effective with the next one."""

import pytest

from tests.scene import NAME, Scene

VALUE = "correct horse battery staple"


def test_a_value_is_never_shown(scene: Scene) -> None:
    said = [scene.deploy("secret", "set", "API_KEY", typed=VALUE), scene.deploy("secret", "list")]
    assert [run.code for run in said] == [0, 0]
    assert "API_KEY" in said[1].out
    assert VALUE not in "".join(run.out + run.err for run in said)


@pytest.mark.parametrize("value", ["", "\n", b"\xff"])
def test_a_value_that_is_empty_or_no_text_is_refused(scene: Scene, value: str | bytes) -> None:
    assert scene.deploy("secret", "set", "API_KEY", typed=value).code == 2
    assert scene.calls == []


def test_a_deploy_needs_the_value_of_every_secret(scene: Scene) -> None:
    scene.configure('secrets = ["API_KEY"]')
    refused = scene.release("old")
    assert refused.code == 1
    assert "secret set API_KEY" in refused.err
    assert scene.mutations == []


def test_a_new_value_makes_a_new_version(scene: Scene) -> None:
    scene.configure('secrets = ["API_KEY"]')
    scene.deploy("secret", "set", "API_KEY", typed="old")
    scene.release("old")
    scene.release("old")
    assert scene.mutations == []
    scene.deploy("secret", "set", "API_KEY", typed="new")
    assert scene.release("old").code == 0
    assert scene.live_version() == "2"
    configuration = scene.aws.client("lambda").get_function_configuration(FunctionName=NAME)
    environment = configuration["Environment"]["Variables"]
    assert {"SECRET_NAMES": "API_KEY"}.items() <= environment.items()
    assert "new" not in environment.values()


def test_a_secret_in_use_cannot_be_removed(scene: Scene) -> None:
    scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    scene.configure('secrets = ["API_KEY"]')
    scene.release("old")
    scene.configure("secrets = []")
    assert scene.deploy("secret", "remove", "API_KEY").code == 1  # the live version still reads it
    scene.release("old")
    assert scene.deploy("secret", "remove", "API_KEY").code == 0
    again = scene.deploy("secret", "remove", "API_KEY")
    assert again.code == 1
    assert "There is no secret API_KEY" in again.err
