"""Test how aliases are created, moved and deleted, and how they route invocations to versions."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.http_api import create_http_api
from tests.support.sample_function import ECHO, NAME, SampleFunction, raises_client_error, send_request

RETURNS_VERSION = "def handler(event, context):\n    return {'body': context.function_version, 'statusCode': 200}\n"
ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"


def test_an_alias_moves_if_the_revision_id_is_current(live: SampleFunction) -> None:
    alias = live.client.get_alias(FunctionName=NAME, Name="live")
    live.update(ECHO + "# two\n")
    assert live.publish() == "2"
    with raises_client_error("PreconditionFailedException", "Call the GetFunction/GetAlias API"):
        live.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2", RevisionId="other")
    revision = alias["RevisionId"]
    moved = live.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2", RevisionId=revision)
    assert (moved["FunctionVersion"], moved["AliasArn"]) == ("2", f"{ARN}:live")
    with raises_client_error("PreconditionFailedException"):
        live.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="1", RevisionId=revision)
    assert live.invoke(Qualifier="live").version == "2"


def test_an_invalid_alias_is_refused(live: SampleFunction) -> None:
    with raises_client_error("ResourceConflictException", f"Alias already exists: {ARN}:live"):
        live.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    with raises_client_error("ResourceNotFoundException", f"Function not found: {ARN}:9"):
        live.client.create_alias(FunctionName=NAME, Name="other", FunctionVersion="9")
    with raises_client_error("ValidationException", "regular expression pattern"):
        live.client.create_alias(FunctionName=NAME, Name="12", FunctionVersion="1")
    with raises_client_error("ResourceNotFoundException", f"Cannot find alias arn: {ARN}:other"):
        live.client.get_alias(FunctionName=NAME, Name="other")


def test_a_version_with_an_alias_cannot_be_deleted(live: SampleFunction) -> None:
    message = "Unable to delete version because the following aliases reference it: [live]"
    with raises_client_error("ResourceConflictException", message):
        live.client.delete_function(FunctionName=NAME, Qualifier="1")
    live.client.delete_alias(FunctionName=NAME, Name="live")
    live.client.delete_function(FunctionName=NAME, Qualifier="1")


def test_an_alias_with_weights_routes_invocations_to_two_versions(live: SampleFunction) -> None:
    live.update(ECHO + "# two\n")
    live.publish()
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    live.client.update_alias(FunctionName=NAME, Name="live", RoutingConfig=weights)
    assert {live.invoke(Qualifier="live").version for _ in range(40)} == {"1", "2"}
    with raises_client_error("ResourceConflictException"):
        live.client.delete_function(FunctionName=NAME, Qualifier="2")
    live.client.update_alias(FunctionName=NAME, Name="live", RoutingConfig={})
    assert {live.invoke(Qualifier="live").version for _ in range(10)} == {"1"}


def test_only_two_similar_published_versions_can_share_the_traffic(live: SampleFunction) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html"""

    def split(version: str, weights: dict[str, float]) -> None:
        routing = {"AdditionalVersionWeights": weights}
        live.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion=version, RoutingConfig=routing)

    changes: list[dict[str, Any]] = [
        {"Timeout": 5},
        {"Role": live.role("other")},
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:failed"}},
    ]
    for change in changes:
        live.client.update_function_configuration(FunctionName=NAME, **change)
        live.wait_until_ready()
        live.publish()
    for version, weights, message in [
        ("$LATEST", {"1": 0.5}, "$LATEST is not supported for an alias pointing to more than 1 version"),
        ("1", {"1": 0.5}, "Function version 1 is already included in routing configuration."),
        ("1", {"2": 0.5, "3": 0.1}, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
        ("2", {"3": 0.5}, "must have the same Role"),
        ("3", {"4": 0.5}, "must have the same DeadLetterConfig"),
    ]:
        with raises_client_error("InvalidParameterValueException", message):
            split(version, weights)
    with raises_client_error("ValidationException", "regular expression pattern"):
        split("1", {"$LATEST": 0.5})
    split("1", {"2": 0.5})
    with raises_client_error("InvalidParameterValueException", "already included in routing configuration"):
        live.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2")


def test_requests_to_both_kinds_of_urls_follow_the_weights(sample: SampleFunction) -> None:
    _, endpoint = create_http_api(sample, RETURNS_VERSION)
    url = sample.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")["FunctionUrl"]
    sample.allow("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    sample.allow("function", "lambda:InvokeFunction", InvokedViaFunctionUrl=True)
    sample.update(RETURNS_VERSION + "# two\n")
    weights = {"AdditionalVersionWeights": {sample.publish(): 0.5}}
    sample.client.update_alias(FunctionName=NAME, Name="live", RoutingConfig=weights)
    for address in (endpoint, url):
        assert {send_request(address)[1] for _ in range(40)} == {b"1", b"2"}


def test_deleting_an_alias_deletes_its_url_and_policy(live: SampleFunction) -> None:
    live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    live.allow("s", "lambda:InvokeFunction")
    live.client.delete_alias(FunctionName=NAME, Name="live")
    live.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    for read in (live.client.get_policy, live.client.get_function_url_config):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            read(FunctionName=NAME, Qualifier="live")
