"""Test what AWS refuses in some Regions."""

from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from tests.support.sample_function import NAME, SampleFunction, raises_client_error

SNAPSTART = {"ApplyOn": "PublishedVersions"}


def test_snapstart_is_not_available_in_every_region(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html, and aws-samples/bedrock-chat#617 for the error."""
    with EmbeddedAws(clock=ManualClock(), region="ap-east-2") as aws:
        sample = SampleFunction(aws, tmp_path)
        definition = sample.definition()
        message = "not supported for SnapStart enabled functions"
        with raises_client_error("InvalidParameterValueException", message):
            sample.client.create_function(**definition, SnapStart=SNAPSTART)
        sample.client.create_function(**definition)
        sample.wait_until_ready()
        with raises_client_error("InvalidParameterValueException", message):
            sample.client.update_function_configuration(FunctionName=NAME, SnapStart=SNAPSTART)


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
def test_credentials_are_valid_in_one_partition(aws: EmbeddedAws, region: str) -> None:
    """https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-differences.html"""
    for service, operation, code in [
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("ecr", "describe_repositories", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
    ]:
        with raises_client_error(code, "The security token included in the request is invalid."):
            getattr(aws.client(service, region), operation)()
