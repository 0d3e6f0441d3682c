"""Test the resource-based policies of aliases: conditions, principals, revisions and conflicts."""

import json
from typing import Any

import pytest

from tests.support.sample_function import NAME, SampleFunction, raises_client_error

ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}"


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
def test_conditions_are_stored_in_the_format_of_iam(
    live: SampleFunction, conditions: dict[str, Any], stored: dict[str, Any]
) -> None:
    definition = {"Action": "lambda:InvokeFunction", "Principal": "*", **conditions}
    live.client.add_permission(FunctionName=NAME, Qualifier="live", StatementId="s", **definition)
    (statement,) = json.loads(live.client.get_policy(FunctionName=NAME, Qualifier="live")["Policy"])["Statement"]
    assert statement["Condition"] == stored
    assert (statement["Resource"], statement["Principal"]) == (f"{ARN}:live", "*")


def test_principals_are_stored_in_the_format_of_iam(live: SampleFunction) -> None:
    for principal, stored in {
        "apigateway.amazonaws.com": {"Service": "apigateway.amazonaws.com"},
        "123456789012": {"AWS": "arn:aws:iam::123456789012:root"},
    }.items():
        response = live.client.add_permission(
            FunctionName=NAME, StatementId=principal[:10], Action="lambda:InvokeFunction", Principal=principal
        )
        assert json.loads(response["Statement"])["Principal"] == stored


def test_each_qualifier_has_its_own_policy(live: SampleFunction) -> None:
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


def test_an_account_can_forbid_policies_that_allow_everybody(live: SampleFunction) -> None:
    """hashicorp/terraform-provider-aws#39396"""
    live.aws.lambda_state().blocks_public_access = True
    message = "Lambda blocked the creation of this policy because it would grant public access to your function."
    with raises_client_error("PublicPolicyException", message):
        live.allow("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    with raises_client_error("ResourceNotFoundException"):
        live.client.get_policy(FunctionName=NAME, Qualifier="live")
    live.allow_service("api", "apigateway.amazonaws.com", "execute-api:us-east-1:123456789012:a/*")
    live.allow("organization", "lambda:InvokeFunction", PrincipalOrgID="o-0123456789")


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
