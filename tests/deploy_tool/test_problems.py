"""Whatever goes wrong is told in two lines, with the right exit code."""

import botocore.session
import pytest

from tests.embedded_aws import EmbeddedAws
from tests.scene import Scene


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["deplyo"], "invalid choice: 'deplyo'"),
        (["--stgae=dev"], "nrecognized arguments: --stgae"),
        (["--stage", "Prod!"], "'Prod!' cannot be a stage's name"),
        (["logs", "--hours", "nan"], "invalid hours value: 'nan'"),
        (["secret"], "he following arguments are required"),
        (["secret", "set", "api-key"], "'api-key' cannot be a secret's name"),
    ],
)
def test_a_mistake_in_the_arguments_is_exit_code_2(scene: Scene, arguments: list[str], told: str) -> None:
    run = scene.deploy(*arguments)
    assert run.code == 2
    assert told in run.err
    assert len(run.err.splitlines()) == 2
    assert scene.calls == []


@pytest.mark.parametrize("arguments", [["--stage", "dev", "status"], ["status", "--stage", "dev"]])
def test_the_stage_may_stand_before_the_verb_or_after_it(scene: Scene, arguments: list[str]) -> None:
    run = scene.deploy(*arguments)
    assert run.code == 1
    assert "my-api has no release in stage dev." in run.err


def test_a_region_that_does_not_exist(scene: Scene) -> None:
    scene.configure('region = "us-east-9"')
    run = scene.deploy()
    assert run.code == 2
    assert "region: AWS has no Region 'us-east-9'" in run.err


def test_no_credentials(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with_keys = scene.aws.environ
    none = {name: value for name, value in with_keys.items() if "KEY" not in name}
    monkeypatch.setattr(EmbeddedAws, "environ", property(lambda aws: none))
    monkeypatch.setattr("tests.deploying._session", botocore.session.get_session)  # a new one, which looks for them
    run = scene.deploy()
    assert run.code == 1
    assert run.err.startswith("No AWS credentials were found.\nSet AWS_PROFILE")


def test_no_container_engine(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    run = scene.deploy()
    assert run.code == 1
    assert "Docker is not installed" in run.err
    assert scene.mutations == []


@pytest.mark.parametrize("image", ["", "x", "x/y z", "registry/Upper:tag"])
def test_an_image_that_cannot_be_one(scene: Scene, image: str) -> None:
    run = scene.deploy("--image", image)
    assert run.code == 2
    assert f"{image!r} is not the URI of an image" in run.err
    assert scene.mutations == []


def test_an_image_of_another_registry(scene: Scene) -> None:
    run = scene.deploy("--image", "ghcr.io/elsewhere:one")
    assert run.code == 2
    assert "ghcr.io/elsewhere is not in this account's ECR" in run.err
    assert scene.mutations == []


def test_debug_shows_the_traceback_too(scene: Scene) -> None:
    run = scene.deploy("--debug", "--image", "x")
    assert run.code == 2
    assert "Traceback" in run.err
    assert run.err.endswith("Give it as <registry>/<repository>:<tag>\n")


def test_an_image_that_is_not_there(scene: Scene) -> None:
    image = scene.images["old"].partition("@")[0] + ":not-there"
    run = scene.deploy("--image", image)
    assert run.code == 1
    assert f"There is no image {image} in ECR" in run.err
    assert scene.mutations == []


def test_an_action_that_is_not_allowed_is_named(scene: Scene) -> None:
    scene.aws.deny("lambda:PublishVersion")
    run = scene.release("old")
    assert run.code == 1
    assert "AWS refused PublishVersion" in run.err
    assert len(run.err.splitlines()) == 2
