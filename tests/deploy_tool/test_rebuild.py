"""Test when an image is built, and that `--rebuild` builds it again on the latest base image."""

from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.fake_docker import FakeDocker


def test_an_unchanged_image_is_not_built_again(stage: DeployedStage, docker: FakeDocker) -> None:
    assert stage.deploy().code == 0
    assert stage.deploy().code == 0
    assert len(docker.builds()) == 1
    assert "--no-cache" not in docker.builds()[0]


def test_rebuild_builds_the_same_content_on_the_latest_base_image(stage: DeployedStage, docker: FakeDocker) -> None:
    assert stage.deploy().code == 0
    run = stage.deploy("--rebuild")
    assert run.code == 0, run.err
    assert stage.live_version() == "2"
    _, rebuild = docker.builds()
    assert rebuild[:3] == ["build", "--pull", "--no-cache"]
    tags = [
        tag
        for image in stage.aws.client("ecr").describe_images(repositoryName=NAME)["imageDetails"]
        for tag in image["imageTags"]
    ]
    first, second = sorted(tags)
    assert second.startswith(f"{first}-rebuilt-")


def test_the_next_deploy_keeps_the_rebuilt_image(stage: DeployedStage, docker: FakeDocker) -> None:
    stage.deploy()
    stage.deploy("--rebuild")
    run = stage.deploy()
    assert "Nothing to deploy" in run.out
    assert stage.live_version() == "2"
    assert len(docker.builds()) == 2
