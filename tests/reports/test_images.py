"""Test reported problems with container images.

Each test is named after the report. It reproduces the problem, and shows that the deploy tool handles it.
"""

import urllib.error
from datetime import timedelta
from pathlib import Path

import pytest

from embedded_aws import OCI_INDEX
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, copying_bake, deployed_stage, task_root
from tests.support.sample_function import SampleFunction, raises_client_error

LIVE = {"FunctionName": NAME, "Qualifier": "live"}


def test_buildx_1533_an_image_index_is_rejected(bake: Bake, tmp_path: Path) -> None:
    """docker/buildx#1533, aws/aws-lambda-roadmap#82: BuildKit stores the image and its attestations in an index.

    Lambda does not accept an index. The deploy tool rejects it before it changes anything.
    """
    with deployed_stage(bake, tmp_path) as stage:
        index = stage.aws.push_image("built-elsewhere", task_root(tmp_path, "new"), media_type=OCI_INDEX)
        sample = SampleFunction(stage.aws, tmp_path)
        message = f"The image manifest, config or layer media type for the source image {index} is not supported."
        with raises_client_error("InvalidParameterValueException", message):
            sample.client.create_function(**sample.definition(Code={"ImageUri": index}))
        before = len(stage.aws.calls)
        run = stage.deploy("--image", index)
        assert run.code == 1
        assert run.err == (
            f"The image has the media type {OCI_INDEX}, which Lambda does not accept.\n"
            "Build it for one platform and without attestations: --provenance=false --sbom=false --platform linux/…\n"
        )
        assert [call.operation for call in stage.aws.calls[before:] if call.mutating] == []


def test_an_image_for_the_wrong_architecture_is_rejected_after_the_build(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker's legacy builder ignores --platform, and Lambda would fail with "exec format error"."""
    docker, log = tmp_path / "bin/docker", tmp_path / "log"
    docker.parent.mkdir()
    docker.write_text(
        f'#!/bin/sh\necho "$BUILDX_NO_DEFAULT_ATTESTATIONS $*" >> {log}\n'
        """[ "$1" != image ] || echo '[{"Architecture": "amd64"}]'\n""",
        encoding="utf-8",
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    with deployed_stage(bake, tmp_path) as stage:
        run = stage.deploy()
        assert run.code == 1
        assert run.err == (
            "Docker built the image for amd64 instead of arm64.\n"
            "Install Docker's buildx plugin, or set architecture in deploy.toml to that of this machine.\n"
        )
        assert "\n1 build --pull --platform linux/arm64 --tag my-api-prod:" in log.read_text("utf-8")
        assert stage.aws.client("lambda").list_functions()["Functions"] == []


def test_hawk_950_a_lifecycle_rule_deletes_the_live_image(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """METR/hawk#950: after that, every request fails with 502.

    The deploy tool creates no lifecycle rule. It deletes only images that no kept version uses.
    """
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path) as stage:
        stage.project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        stage.release("old")
        ecr, functions = stage.aws.client("ecr"), stage.aws.client("lambda")
        with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
            ecr.get_lifecycle_policy(repositoryName=NAME)
        monkeypatch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # all images were pushed today
        digests = []
        for body in ("1", "2", "3", "4"):
            image = stage.aws.push_image(NAME, task_root(tmp_path, body))
            digests.append({"imageDigest": image.partition("@")[2]})
            assert stage.deploy("--image", image).code == 0
        kept = ecr.describe_images(repositoryName=NAME)["imageDetails"]
        assert [image["imageDigest"] for image in kept] == [digest["imageDigest"] for digest in digests[2:]]
        assert stage.deploy("rollback").code == 0
        assert stage.get() == "3"

        ecr.batch_delete_image(repositoryName=NAME, imageIds=[digests[2]])
        config = functions.get_function_configuration(**LIVE)
        assert (config["State"], config["StateReasonCode"]) == ("Inactive", "ImageDeleted")
        with pytest.raises(urllib.error.HTTPError, match="502"):
            stage.get()
        assert "The function is trying to use a deleted image." in stage.deploy("status").out
        assert stage.release("new").code == 0
        assert stage.get() == "new"
