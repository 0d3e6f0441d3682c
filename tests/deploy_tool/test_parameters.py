"""Secrets are parameters below the stage's path: encrypted, not too long, and gone after destroy."""

import pytest

from tests.scene import NAME, Scene

VALUE = "correct horse battery staple"
PATH = "/my-api/prod/API_KEY"


def test_a_value_is_stored_encrypted(scene: Scene) -> None:
    assert scene.deploy("secret", "set", "API_KEY", typed=VALUE + "\n").code == 0
    stored = scene.aws.client("ssm").get_parameter(Name=PATH, WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (VALUE, "SecureString")


def test_an_oversized_value_is_refused(scene: Scene) -> None:
    assert scene.deploy("secret", "set", "API_KEY", typed="x" * 4097).code == 2
    assert scene.mutations == []


def test_those_of_somebody_else_stay_as_they_are(scene: Scene) -> None:
    ssm = scene.aws.client("ssm")
    ssm.put_parameter(Name=PATH, Value="theirs", Type="SecureString")
    refused = scene.deploy("secret", "set", "API_KEY", typed=VALUE)
    assert refused.code == 1
    assert "was not made by this tool" in refused.err
    assert scene.deploy("secret", "remove", "API_KEY").code == 1
    scene.release("old")
    assert scene.deploy("destroy", typed=NAME).code == 0
    assert ssm.get_parameter(Name=PATH, WithDecryption=True)["Parameter"]["Value"] == "theirs"


@pytest.mark.parametrize("listed", ["[]", '["API_KEY"]'])
def test_they_go_with_the_rest(scene: Scene, listed: str) -> None:
    scene.configure(f"secrets = {listed}")
    for name in ("API_KEY", "OTHER_KEY"):
        scene.deploy("secret", "set", name, typed=VALUE)
    scene.release("old")
    gone = scene.deploy("destroy", typed=NAME)
    assert gone.out.endswith("\n0 left\n")
    assert scene.aws.client("ssm").describe_parameters()["Parameters"] == []
