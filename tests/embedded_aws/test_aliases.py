"""Do aliases, function URL configurations and permissions behave as at AWS?"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sample_function import ECHO, NAME, SampleFunction, raises_client_error

ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"


@pytest.fixture
def live(sample: SampleFunction) -> SampleFunction:
    """Version 1 under alias `live`."""
    sample.create()
    sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    return sample


def test_an_alias_moves_under_a_revision_check(live: SampleFunction) -> None:
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


def test_aliases_that_cannot_be(live: SampleFunction) -> None:
    with raises_client_error("ResourceConflictException", f"Alias already exists: {ARN}:live"):
        live.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    with raises_client_error("ResourceNotFoundException", f"Function not found: {ARN}:9"):
        live.client.create_alias(FunctionName=NAME, Name="other", FunctionVersion="9")
    with raises_client_error("ValidationException", "regular expression pattern"):
        live.client.create_alias(FunctionName=NAME, Name="12", FunctionVersion="1")
    with raises_client_error("ResourceNotFoundException", f"Cannot find alias arn: {ARN}:other"):
        live.client.get_alias(FunctionName=NAME, Name="other")


def test_a_version_under_an_alias_cannot_be_deleted(live: SampleFunction) -> None:
    message = "Unable to delete version because the following aliases reference it: [live]"
    with raises_client_error("ResourceConflictException", message):
        live.client.delete_function(FunctionName=NAME, Qualifier="1")
    live.client.delete_alias(FunctionName=NAME, Name="live")
    live.client.delete_function(FunctionName=NAME, Qualifier="1")


def test_an_alias_with_weights_sends_some_requests_elsewhere(live: SampleFunction) -> None:
    live.update(ECHO + "# two\n")
    live.publish()
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    live.client.update_alias(FunctionName=NAME, Name="live", RoutingConfig=weights)
    assert {live.invoke(Qualifier="live").version for _ in range(40)} == {"1", "2"}
    with raises_client_error("ResourceConflictException"):
        live.client.delete_function(FunctionName=NAME, Qualifier="2")
    live.client.update_alias(FunctionName=NAME, Name="live", RoutingConfig={})
    assert {live.invoke(Qualifier="live").version for _ in range(10)} == {"1"}


def test_a_url_is_of_an_alias_and_never_of_a_version(live: SampleFunction) -> None:
    made = live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    assert made["FunctionUrl"].endswith("/")
    assert made["FunctionArn"] == f"{ARN}:live"
    with raises_client_error("ResourceConflictException", "FunctionUrlConfig exists for this Lambda function"):
        live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    for qualifier in ("1", "$LATEST"):
        with raises_client_error("ValidationException"):
            live.client.create_function_url_config(FunctionName=NAME, Qualifier=qualifier, AuthType="NONE")
    with raises_client_error("ResourceNotFoundException"):
        live.client.get_function_url_config(FunctionName=NAME)
    live.client.update_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="AWS_IAM")
    found = live.client.get_function_url_config(FunctionName=NAME, Qualifier="live")
    assert (found["AuthType"], found["FunctionUrl"]) == ("AWS_IAM", made["FunctionUrl"])
    assert len(live.client.list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]) == 1
    live.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")
    with raises_client_error("ResourceNotFoundException", "The resource you requested does not exist."):
        live.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")


@pytest.mark.parametrize(
    ("conditions", "stored"),
    [
        (
            {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        ({"InvokedViaFunctionUrl": True}, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}),
        (
            {"SourceArn": "arn:aws:execute-api:us-east-1:123456789012:a/*"},
            {"ArnLike": {"AWS:SourceArn": "arn:aws:execute-api:us-east-1:123456789012:a/*"}},
        ),
        ({"SourceAccount": "123456789012"}, {"StringEquals": {"AWS:SourceAccount": "123456789012"}}),
        ({"PrincipalOrgID": "o-0123456789"}, {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}),
    ],
)
def test_conditions_are_stored_as_iam_writes_them(
    live: SampleFunction, conditions: dict[str, Any], stored: dict[str, Any]
) -> None:
    definition = {"Action": "lambda:InvokeFunction", "Principal": "*", **conditions}
    live.client.add_permission(FunctionName=NAME, Qualifier="live", StatementId="s", **definition)
    (statement,) = json.loads(live.client.get_policy(FunctionName=NAME, Qualifier="live")["Policy"])["Statement"]
    assert statement["Condition"] == stored
    assert (statement["Resource"], statement["Principal"]) == (f"{ARN}:live", "*")


def test_principals_are_stored_as_iam_writes_them(live: SampleFunction) -> None:
    for principal, stored in {
        "apigateway.amazonaws.com": {"Service": "apigateway.amazonaws.com"},
        "123456789012": {"AWS": "arn:aws:iam::123456789012:root"},
    }.items():
        answer = (
            live.client.add_permission(
                FunctionName=NAME, StatementId=principal[:10], Action="lambda:InvokeFunction", Principal=principal
            )
            if principal.isdigit()
            else live.client.add_permission(
                FunctionName=NAME, StatementId="gateway", Action="lambda:InvokeFunction", Principal=principal
            )
        )
        assert json.loads(answer["Statement"])["Principal"] == stored


def test_each_qualifier_has_a_policy_of_its_own(live: SampleFunction) -> None:
    live.allow("s", "lambda:InvokeFunction")
    with raises_client_error("ResourceConflictException", "The statement id (s) provided already exists."):
        live.allow("s", "lambda:InvokeFunction")
    with raises_client_error("ResourceNotFoundException"):
        live.client.get_policy(FunctionName=NAME)
    with raises_client_error(
        "InvalidParameterValueException", "We currently do not support adding policies for $LATEST."
    ):
        live.client.add_permission(
            FunctionName=NAME, Qualifier="$LATEST", StatementId="s", Action="lambda:*", Principal="*"
        )
    with raises_client_error("ResourceNotFoundException"):
        live.client.add_permission(FunctionName=NAME, Qualifier="no", StatementId="s", Action="lambda:*", Principal="*")
    with raises_client_error("InvalidParameterValueException", "FunctionUrlAuthType is only supported for"):
        live.allow("t", "lambda:InvokeFunction", FunctionUrlAuthType="NONE")


def test_a_policy_has_the_revision_of_its_alias(live: SampleFunction) -> None:
    before = live.client.get_alias(FunctionName=NAME, Name="live")["RevisionId"]
    with raises_client_error("PreconditionFailedException"):
        live.allow("s", "lambda:InvokeFunction", RevisionId="other")
    live.allow("s", "lambda:InvokeFunction", RevisionId=before)
    after = live.client.get_alias(FunctionName=NAME, Name="live")["RevisionId"]
    assert before != after == live.client.get_policy(FunctionName=NAME, Qualifier="live")["RevisionId"]
    with raises_client_error("ResourceNotFoundException"):
        live.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId="t")
    live.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId="s", RevisionId=after)
    with raises_client_error("ResourceNotFoundException"):
        live.client.get_policy(FunctionName=NAME, Qualifier="live")


def test_deleting_an_alias_deletes_its_url_and_policy(live: SampleFunction) -> None:
    live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    live.allow("s", "lambda:InvokeFunction")
    live.client.delete_alias(FunctionName=NAME, Name="live")
    live.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    for read in (live.client.get_policy, live.client.get_function_url_config):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            read(FunctionName=NAME, Qualifier="live")
