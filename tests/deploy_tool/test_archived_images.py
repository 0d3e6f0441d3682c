"""Test images in ECR's storage class ARCHIVE, which ECR hides and which Lambda cannot pull."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from embedded_aws import DOCKER_MANIFEST, OCI_INDEX
from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.fake_docker import FakeDocker


def archive(stage: DeployedStage, digest: str) -> None:
    stage.aws.client("ecr").update_image_storage_class(
        repositoryName=NAME, imageId={"imageDigest": digest}, targetStorageClass="ARCHIVE"
    )


def images(stage: DeployedStage) -> dict[str, str]:
    """Return the status of each image by its digest."""
    every_status = {"imageStatus": "ANY"}
    details = stage.aws.client("ecr").describe_images(repositoryName=NAME, filter=every_status)["imageDetails"]
    return {image["imageDigest"]: image["imageStatus"] for image in details}


def change(stage: DeployedStage, comment: str) -> None:
    with (stage.project.path / "app/main.py").open("a", encoding="utf-8") as file:
        file.write(f"# {comment}\n")


@pytest.mark.usefixtures("docker")
def test_an_archived_image_is_built_again_with_another_tag(stage: DeployedStage, docker: FakeDocker) -> None:
    assert stage.deploy().code == 0
    (first,) = images(stage)
    archive(stage, first)
    run = stage.deploy()
    assert run.code == 0, run.err
    assert stage.live_version() == "2"
    old, new = (build[build.index("--tag") + 1] for build in docker.builds())
    assert new.startswith(f"{old}-rebuilt-")
    assert "Nothing to deploy" in stage.deploy().out
    assert len(docker.builds()) == 2


def test_an_image_of_a_type_that_lambda_rejects_is_built_again(stage: DeployedStage, docker: FakeDocker) -> None:
    """The tag of an image cannot be changed, so a deploy that used it would fail again and again."""
    assert stage.deploy().code == 0
    change(stage, "pushed as an index by another engine")
    docker.media_type = OCI_INDEX
    run = stage.deploy()
    assert run.code == 1
    assert run.err.startswith(f"The image has the media type {OCI_INDEX}, which Lambda does not accept.\n")
    docker.media_type = DOCKER_MANIFEST
    assert stage.deploy().code == 0
    assert stage.live_version() == "2"


@pytest.mark.usefixtures("docker")
def test_rollback_to_an_archived_image_is_refused_with_advice(stage: DeployedStage) -> None:
    assert stage.deploy().code == 0
    (first,) = images(stage)
    change(stage, "the second release")
    assert stage.deploy().code == 0
    archive(stage, first)
    run = stage.deploy("rollback")
    assert run.code == 1
    assert stage.mutations == []
    assert run.err.splitlines()[-1] == (
        "Version 2 is still live. Its image is archived in ECR. Restore it, which takes up to 20 minutes: aws ecr "
        f"update-image-storage-class --repository-name {NAME} --image-id imageDigest={first} "
        "--target-storage-class STANDARD"
    )
    stage.aws.client("ecr").update_image_storage_class(
        repositoryName=NAME, imageId={"imageDigest": first}, targetStorageClass="STANDARD"
    )
    assert stage.deploy("rollback").code == 0
    assert stage.live_version() == "1"


@pytest.mark.usefixtures("docker")
def test_cleaning_up_deletes_archived_images(stage: DeployedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # all images were pushed today
    stage.configure("keep_releases = 2")
    assert stage.deploy().code == 0
    (first,) = images(stage)
    archive(stage, first)
    for comment in ("the second release", "the third release"):
        change(stage, comment)
        assert stage.deploy().code == 0
    assert first not in images(stage)
    assert len(images(stage)) == 2


@pytest.mark.usefixtures("docker")
def test_archived_images_cost_as_much_as_others_and_are_destroyed(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moto.ecr.models.Image.get_image_size_in_bytes", lambda image: 2 * 1024**3)
    assert stage.deploy().code == 0
    (first,) = images(stage)
    archive(stage, first)
    assert "images, up to 2.00 GB " in stage.deploy("cost").out
    run = stage.deploy("destroy", "--yes")
    assert run.code == 0, run.err
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        images(stage)


def test_an_archived_image_cannot_be_deployed_with_its_uri(stage: DeployedStage) -> None:
    uri = stage.images["old"]
    stage.aws.client("ecr").update_image_storage_class(
        repositoryName="built-elsewhere",
        imageId={"imageDigest": uri.partition("@")[2]},
        targetStorageClass="ARCHIVE",
    )
    run = stage.deploy("--image", uri)
    assert run.code == 1
    assert run.err == (
        f"The image {uri} does not exist, or it is archived.\n"
        "Push it to ECR in us-east-1 or restore it first, or leave out --image.\n"
    )
