"""Test errors of all commands: one line says what happened, one says what to do, and the exit code fits."""

import botocore.session
import pytest

from embedded_aws import EmbeddedAws
from tests.support.deployed_stage import DeployedStage

URI_FORMS = "Use <registry>/<repository>:<tag> or <registry>/<repository>@<digest>"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["deplyo"], "No such command 'deplyo'. Did you mean 'deploy'?", "See ./deploy.sh --help"),
        (["--stgae=dev"], "No such option: --stgae (Possible options: --stage).", "See ./deploy.sh --help"),
        (
            ["--stage", "Prod!"],
            "'Prod!' is not a valid stage name.",
            "Use a letter and up to 14 lower-case letters, digits and hyphens.",
        ),
        (
            ["--stage", ""],
            "'' is not a valid stage name.",
            "Use a letter and up to 14 lower-case letters, digits and hyphens.",
        ),
        (
            ["logs", "--hours", "nan"],
            "Invalid value for '--hours': must be greater than 0 and less than 100,000; it is nan.",
            "See ./deploy.sh logs --help",
        ),
        (["secret"], "Missing command.", "See ./deploy.sh secret --help"),
        (["secret", "set"], "Missing argument 'name'.", "See ./deploy.sh secret set --help"),
        (
            ["secret", "set", "api-key"],
            "'api-key' is not a valid secret name.",
            "Use 1 to 64 capital letters, digits and underscores, such as API_KEY.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_in_the_arguments_has_exit_code_2(
    stage: DeployedStage, arguments: list[str], message: str, hint: str
) -> None:
    run = stage.deploy(*arguments)
    assert run.code == 2
    assert run.err == f"{message}\n{hint}\n"
    assert stage.calls == []


@pytest.mark.parametrize("arguments", [["--stage", "dev", "status"], ["status", "--stage", "dev"]])
def test_the_stage_can_be_before_or_after_the_command(stage: DeployedStage, arguments: list[str]) -> None:
    run = stage.deploy(*arguments)
    assert run.code == 1
    assert run.err == "my-api has no release in stage dev.\nDeploy it: ./deploy.sh --stage dev\n"


def test_a_region_that_does_not_exist_is_an_error(stage: DeployedStage) -> None:
    stage.configure('region = "us-east-9"')
    run = stage.deploy()
    assert run.code == 2
    assert run.err == "deploy.toml: region: Lambda is not available in 'us-east-9'.\nCorrect region in deploy.toml.\n"
    assert stage.calls == []


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_a_region_of_another_partition_is_an_error(stage: DeployedStage, region: str) -> None:
    stage.configure(f'region = "{region}"')
    run = stage.deploy()
    assert run.code == 2
    problem = f"region: must be a Region of the partition aws, such as us-east-1; it is {region!r}"
    assert run.err == f"deploy.toml: {problem}.\nCorrect region in deploy.toml.\n"
    assert stage.calls == []


def test_missing_credentials_are_an_error(stage: DeployedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {name: value for name, value in stage.aws.environ.items() if "KEY" not in name}
    monkeypatch.setattr(EmbeddedAws, "environ", property(lambda aws: variables))
    monkeypatch.setattr(
        "tests.support.deploy_tool._session", botocore.session.get_session
    )  # a session without cached credentials
    run = stage.deploy()
    assert run.code == 1
    assert run.err == (
        "No AWS credentials were found.\n"
        "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or run: aws configure\n"
    )


def test_a_deploy_without_a_container_engine_is_an_error(stage: DeployedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    run = stage.deploy()
    assert run.code == 1
    assert run.err == (
        "No container engine is installed. It is needed to build the image.\n"
        "Install Docker (docs.docker.com/get-docker), Podman or Finch, or deploy an existing image with --image.\n"
    )
    assert stage.mutations == []


@pytest.mark.parametrize("image", ["", "x", "x/y z", "registry/Upper:tag"])
def test_an_image_must_be_a_uri(stage: DeployedStage, image: str) -> None:
    run = stage.deploy("--image", image)
    assert run.code == 2
    assert run.err == f"{image!r} is not the URI of an image in ECR.\n{URI_FORMS}\n"
    assert stage.mutations == []


def test_an_image_in_another_registry_is_rejected(stage: DeployedStage) -> None:
    run = stage.deploy("--image", "ghcr.io/elsewhere:one")
    assert run.code == 2
    assert run.err == (
        "ghcr.io/elsewhere is not in the ECR registry of this account and Region.\n"
        f"Push the image to {stage.aws.account}.dkr.ecr.us-east-1.… first.\n"
    )
    assert stage.mutations == []


def test_debug_prints_the_traceback_before_the_error(stage: DeployedStage) -> None:
    run = stage.deploy("--debug", "--image", "x")
    assert run.code == 2
    assert run.err.startswith("Traceback (most recent call last):\n")
    assert run.err.endswith(f"\n'x' is not the URI of an image in ECR.\n{URI_FORMS}\n")


def test_an_image_that_does_not_exist_is_an_error(stage: DeployedStage) -> None:
    image = stage.images["old"].partition("@")[0] + ":missing"
    run = stage.deploy("--image", image)
    assert run.code == 1
    assert run.err == (
        f"The image {image} does not exist, or it is archived.\n"
        "Push it to ECR in us-east-1 or restore it first, or leave out --image.\n"
    )
    assert stage.mutations == []


def test_a_denied_action_is_named(stage: DeployedStage) -> None:
    stage.aws.deny("lambda:PublishVersion")
    run = stage.release("old")
    assert run.code == 1
    message, hint = run.err.splitlines()
    assert message.startswith("AWS denied PublishVersion: ")
    assert "is not authorized to perform: lambda:PublishVersion" in message
    assert (
        hint
        == "Allow that action for your credentials (for GitHub's roles: ./deploy.sh github OWNER/REPO), then try again."
    )


@pytest.mark.parametrize("option", [["--image", "registry/repository:tag"], ["--rebuild"]])
def test_options_of_the_default_command_are_refused_before_another_command(
    stage: DeployedStage, option: list[str]
) -> None:
    run = stage.deploy(*option, "plan")
    assert run.code == 2
    assert run.err == ("--image and --rebuild belong after the command.\nFor example: ./deploy.sh plan --rebuild\n")
    assert stage.calls == []
