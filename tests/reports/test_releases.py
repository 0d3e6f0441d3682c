"""Problems with releases on Lambda that others reported: the embedded AWS has each of them, and ./deploy.sh handles it.

Each test is named after the report.
"""

import re
import sys
import urllib.error
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from embedded_aws import OCI_INDEX, Delays
from scripts.project_changes import write_handler
from tests.support.bake import Bake
from tests.support.deployed_stage import NAME, SERVICE, DeployedStage, copying_bake, deployed_stage, task_root
from tests.support.sample_function import SampleFunction, raises_client_error

LIVE = {"FunctionName": NAME, "Qualifier": "live"}
FAILS_INIT = "raise RuntimeError('no model')\n"
SLOW_INIT = "import time\n\ntime.sleep(0.6)\n"


def test_buildx_1533_an_image_index_is_rejected(bake: Bake, tmp_path: Path) -> None:
    """docker/buildx#1533, aws/aws-lambda-roadmap#82: BuildKit combines image and attestations in an index.

    The deploy tool rejects it before it changes anything.
    """
    with deployed_stage(bake, tmp_path) as on:
        index = on.aws.push_image("built-elsewhere", task_root(tmp_path, "new"), media_type=OCI_INDEX)
        sample = SampleFunction(on.aws, tmp_path)
        message = f"The image manifest, config or layer media type for the source image {index} is not supported."
        with raises_client_error("InvalidParameterValueException", message):
            sample.client.create_function(**sample.definition(Code={"ImageUri": index}))
        before = len(on.aws.calls)
        run = on.deploy("--image", index)
        assert run.code == 1
        assert run.err == (
            f"The image has the media type {OCI_INDEX}, which Lambda does not accept.\n"
            "Build it for one platform and without attestations: --provenance=false --sbom=false --platform linux/…\n"
        )
        assert [call.operation for call in on.aws.calls[before:] if call.mutating] == []


def test_an_image_for_the_wrong_architecture_is_rejected_after_the_build(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The legacy builder ignores --platform, and Lambda would report "exec format error"."""
    docker, log = tmp_path / "bin/docker", tmp_path / "log"
    docker.parent.mkdir()
    docker.write_text(
        f'#!/bin/sh\necho "$BUILDX_NO_DEFAULT_ATTESTATIONS $*" >> {log}\n'
        """[ "$1" != image ] || echo '[{"Architecture": "amd64"}]'\n""",
        encoding="utf-8",
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    with deployed_stage(bake, tmp_path) as on:
        run = on.deploy()
        assert run.code == 1
        assert run.err == (
            "Docker built the image for amd64 instead of arm64.\n"
            "Install Docker's buildx plugin, or set architecture in deploy.toml to that of this machine.\n"
        )
        assert log.read_text("utf-8").startswith("1 build --platform linux/arm64 --tag my-api-prod:")
        assert on.aws.client("lambda").list_functions()["Functions"] == []


def test_hawk_950_a_lifecycle_rule_deletes_the_image_that_is_live(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """METR/hawk#950: then every call is a 502. We delete only what no version uses that is kept."""
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path) as on:
        on.project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        on.release("old")
        ecr, functions = on.aws.client("ecr"), on.aws.client("lambda")
        with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
            ecr.get_lifecycle_policy(repositoryName=NAME)
        monkeypatch.setattr("deploy.release.MIN_IMAGE_AGE", timedelta(0))  # all images are of today
        digests = []
        for body in ("1", "2", "3", "4"):
            image = on.aws.push_image(NAME, task_root(tmp_path, body))
            digests.append({"imageDigest": image.partition("@")[2]})
            assert on.deploy("--image", image).code == 0
        kept = ecr.describe_images(repositoryName=NAME)["imageDetails"]
        assert [image["imageDigest"] for image in kept] == [digest["imageDigest"] for digest in digests[2:]]
        assert on.deploy("rollback").code == 0
        assert on.get() == "3"

        ecr.batch_delete_image(repositoryName=NAME, imageIds=[digests[2]])
        state = functions.get_function_configuration(**LIVE)
        assert (state["State"], state["StateReasonCode"]) == ("Inactive", "ImageDeleted")
        with pytest.raises(urllib.error.HTTPError, match="502"):
            on.get()
        assert "The function is trying to use a deleted image." in on.deploy("status").out
        assert on.release("new").code == 0
        assert on.get() == "new"


def test_boto3_3788_a_version_that_was_idle_for_weeks_refuses_its_first_call(bake: Bake, tmp_path: Path) -> None:
    """boto/boto3#3788: it becomes Inactive. We wake it before its answer matters: at a rollback, and in each deploy."""
    with deployed_stage(bake, tmp_path) as on:
        assert on.release("old").code == 0
        assert on.release("new").code == 0
        for command in (["rollback"], ["--image", on.images["old"]]):
            on.aws.clock.sleep(15 * 86_400)
            functions = on.aws.client("lambda")
            state = functions.get_function_configuration(**LIVE)
            assert (state["State"], state["StateReasonCode"]) == ("Inactive", "Idle")
            with raises_client_error("CodeArtifactUserPendingException", "Lambda is initializing your function."):
                functions.invoke(FunctionName=NAME, Qualifier="2")
            on.aws.clock.sleep(15 * 86_400)
            run = on.deploy(*command)
            assert run.code == 0, run.err
            assert on.get() == "old"


def test_cdk_38265_snapstart_takes_container_images(bake: Bake, tmp_path: Path) -> None:
    """aws/aws-cdk#38265, serverless/serverless#13834, aws/aws-lambda-roadmap#98: since July 2026.

    For published versions, without EFS, more than 512 MB of /tmp, or provisioned concurrency
    (docs.aws.amazon.com/lambda/latest/dg/snapstart.html). Each version kept is billed, so old ones go.
    """
    with deployed_stage(copying_bake(bake, tmp_path), tmp_path, cold_starts="snapstart") as on:
        sample = SampleFunction(on.aws, tmp_path)
        definition = sample.definition(SnapStart={"ApplyOn": "PublishedVersions"})
        with raises_client_error("InvalidParameterValueException", "512"):
            sample.client.create_function(**definition, EphemeralStorage={"Size": 513})
        efs = {
            "Arn": "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0",
            "LocalMountPath": "/mnt/a",
        }
        with raises_client_error("InvalidParameterValueException", "EFS"):
            sample.client.create_function(**definition, FileSystemConfigs=[efs])

        on.project.edit("deploy.toml", "keep_releases = 5", "keep_releases = 2")
        for body in ("old", "new", "other"):
            assert on.release(body).code == 0
        live = sample.client.get_function_configuration(**LIVE)
        assert (live["PackageType"], live["SnapStart"]["OptimizationStatus"]) == ("Image", "On")
        with raises_client_error("InvalidParameterValueException", "SnapStart"):
            sample.client.put_provisioned_concurrency_config(
                FunctionName=NAME, Qualifier=live["Version"], ProvisionedConcurrentExecutions=1
            )
        versions = sample.client.list_versions_by_function(FunctionName=NAME)["Versions"]
        assert [version["Version"] for version in versions] == ["$LATEST", "2", "3"]


def test_terraform_provider_aws_48116_an_alias_with_weights_takes_no_provisioned_concurrency(
    bake: Bake, tmp_path: Path
) -> None:
    """hashicorp/terraform-provider-aws#48116: and while it moves it has weights. Ours is the version's."""
    with deployed_stage(bake, tmp_path, cold_starts="provisioned_concurrency") as on:
        for body in ("old", "new"):
            assert on.release(body).code == 0
        functions = on.aws.client("lambda")
        held = functions.list_provisioned_concurrency_configs(FunctionName=NAME)["ProvisionedConcurrencyConfigs"]
        assert [one["FunctionArn"].rpartition(":")[2] for one in held] == ["2"]
        weights = {"AdditionalVersionWeights": {"1": 0.5}}
        functions.update_alias(FunctionName=NAME, Name="live", RoutingConfig=weights)
        with raises_client_error(
            "InvalidParameterValueException", "Alias with weights can not be used with Provisioned Concurrency"
        ):
            functions.put_provisioned_concurrency_config(**LIVE, ProvisionedConcurrentExecutions=1)
        assert on.release("other").code == 0


def test_provisioned_concurrency_does_not_say_why_init_failed(bake: Bake, tmp_path: Path) -> None:
    """AWS only returns FUNCTION_ERROR_INIT_FAILURE. A deploy invokes the version first, and shows its log."""
    with deployed_stage(bake, tmp_path, cold_starts="provisioned_concurrency") as on:
        sample = SampleFunction(on.aws, tmp_path)
        sample.create(FAILS_INIT)
        version = {"FunctionName": "sample", "Qualifier": sample.publish()}
        sample.client.put_provisioned_concurrency_config(**version, ProvisionedConcurrentExecutions=1)
        sample.wait_until_ready()
        found = sample.client.get_provisioned_concurrency_config(**version)
        assert (found["Status"], found["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")

        before = len(on.aws.calls)
        run = on.deploy("--image", on.aws.push_image("built-elsewhere", write_handler(tmp_path / "bad", FAILS_INIT)))
        assert run.code == 1
        assert "RuntimeError: no model" in run.err
        assert "PutProvisionedConcurrencyConfig" not in {call.operation for call in on.aws.calls[before:]}


def test_web_adapter_35_an_init_of_over_ten_seconds_is_begun_again(bake: Bake, tmp_path: Path) -> None:
    """aws/aws-lambda-web-adapter#35: while the request waits, and all of it is billed. The transcript tells the time.

    0.3 s stand for the ten here. That a release which takes too long never goes live is in test_bad_releases.py.
    """
    with deployed_stage(bake, tmp_path, Delays(init_timeout_s=0.3)) as on:
        sample = SampleFunction(on.aws, tmp_path)
        sample.create(SLOW_INIT + "def handler(event, context):\n    return 1\n", Timeout=10)
        metrics = sample.invoke().report["metrics"]
        assert metrics["durationMs"] > 600  # INIT once more, all of it: the handler does nothing
        assert metrics["billedDurationMs"] > metrics["initDurationMs"] + 600

        root = write_handler(tmp_path / "slow", SLOW_INIT + SERVICE.format(body="slow"))
        run = on.deploy("--image", on.aws.push_image("built-elsewhere", root))
        assert run.code == 0
        told = re.search(r"cold start: ([\d,]+) ms", run.out)
        assert told
        assert int(told[1].replace(",", "")) > 900


def test_boto3_1104_an_invocation_that_takes_over_a_minute_is_repeated(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto/boto3#1104: after 60 s of silence it sends the request again, and a long migration would run twice."""
    default: Any = Config()
    assert default.read_timeout == 60  # half a second stands for it here
    with deployed_stage(bake, tmp_path, migrations="alembic") as on:
        assert on.release("old").code == 0
        sample = SampleFunction(on.aws, tmp_path)
        sample.create("import time\n\ndef handler(event, context):\n    print('runs')\n    time.sleep(1)\n", Timeout=10)
        monkeypatch.setattr("botocore.endpoint.time", on.aws.clock)
        for name, value in on.aws.environ.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ReadTimeoutError):
            boto3.Session().client("lambda", config=Config(read_timeout=0.5)).invoke(FunctionName="sample")
        assert invocations(on, "sample") > 1

        before = invocations(on, f"{NAME}-migrate")
        on.aws.fail("lambda:InvokeFunction", "reset_after")
        run = on.deploy("migrate", "upgrade")
        assert run.code == 1
        assert "It may still be running" in run.err
        assert invocations(on, f"{NAME}-migrate") == before + 1
        config = sys.modules["deploy.config"].load(on.project.path / "deploy.toml", "prod")
        invoker = sys.modules["deploy.stage"].Stage(config, on.project.path).invoker.meta.config
        assert (invoker.read_timeout > 900, invoker.retries["total_max_attempts"]) == (True, 1)


def invocations(on: DeployedStage, function: str) -> int:
    """How often it was asked to run."""
    made = [call for call in on.aws.calls if call.action == "lambda:InvokeFunction"]
    return len([call for call in made if call.params["FunctionName"] == function])
