"""Secrets are parameters below the stage's path: encrypted, not too long, and gone after destroy."""

import pytest

from tests.deploy.cloud import Cloud

VALUE = "correct horse battery staple"


def test_a_value_is_stored_encrypted(cloud: Cloud) -> None:
    assert cloud.run("secret", "set", "API_KEY", typed=VALUE + "\n") == 0
    path = f"/{cloud.name.removesuffix('-prod')}/prod/API_KEY"
    stored = cloud.client("ssm").get_parameter(Name=path, WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (VALUE, "SecureString")


def test_an_oversized_value_is_refused(cloud: Cloud) -> None:
    assert cloud.run("secret", "set", "API_KEY", typed="x" * 4097) == 2
    assert cloud.mutations == []


def test_those_of_somebody_else_stay_as_they_are(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"/{cloud.name.removesuffix('-prod')}/prod/API_KEY"
    cloud.client("ssm").put_parameter(Name=path, Value="theirs", Type="SecureString")
    assert cloud.run("secret", "set", "API_KEY", typed=VALUE) == 1
    assert "was not made by this tool" in capsys.readouterr().err
    assert cloud.run("secret", "remove", "API_KEY") == 1
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert cloud.client("ssm").get_parameter(Name=path, WithDecryption=True)["Parameter"]["Value"] == "theirs"


@pytest.mark.parametrize("listed", ["[]", '["API_KEY"]'])
def test_they_go_with_the_rest(cloud: Cloud, capsys: pytest.CaptureFixture[str], listed: str) -> None:
    cloud.configure(f"secrets = {listed}")
    for name in ("API_KEY", "OTHER_KEY"):
        cloud.run("secret", "set", name, typed=VALUE)
    cloud.run("--image", cloud.push_image())
    assert cloud.run("destroy", typed=cloud.name) == 0
    assert capsys.readouterr().out.endswith("\n0 left\n")
    assert cloud.client("ssm").describe_parameters()["Parameters"] == []
