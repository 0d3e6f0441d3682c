"""Test IAM roles: permissions boundaries, limits of policies, and the policy simulator."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws import EmbeddedAws
from tests.support.sample_function import SampleFunction, raises_client_error

ROLE = "reader"
READS = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
OBJECTS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::files/*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def create_role(aws: EmbeddedAws, boundary: str = "") -> str:
    """Create a role that may read all buckets, and return its ARN."""
    iam = aws.client("iam")
    options = {"PermissionsBoundary": boundary} if boundary else {}
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=document(), **options)["Role"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="reads", PolicyDocument=document(READS))
    return str(role["Arn"])


def create_policy(aws: EmbeddedAws, *statements: dict[str, Any]) -> str:
    policy = aws.client("iam").create_policy(PolicyName="limit", PolicyDocument=document(*statements))["Policy"]
    return str(policy["Arn"])


def test_a_role_may_do_what_its_policy_and_its_boundary_allow(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html"""
    s3 = aws.client("s3")
    for bucket in ("files", "others"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a", Body=b"content")
    role = create_role(aws, create_policy(aws, OBJECTS))
    with aws.acting_as(role):
        s3.get_object(Bucket="files", Key="a")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.get_object(Bucket="others", Key="a")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket="files")
    aws.client("iam").delete_role_permissions_boundary(RoleName=ROLE)
    with aws.acting_as(role):
        s3.get_object(Bucket="others", Key="a")


def test_a_boundary_grants_nothing(aws: EmbeddedAws) -> None:
    role = create_role(aws, create_policy(aws, {"Effect": "Allow", "Action": "*", "Resource": "*"}))
    with aws.acting_as(role), pytest.raises(ClientError, match="AccessDenied"):
        aws.client("s3").create_bucket(Bucket="files")


def test_a_managed_policy_of_a_role_is_evaluated(aws: EmbeddedAws) -> None:
    role, iam, s3 = create_role(aws), aws.client("iam"), aws.client("s3")
    s3.create_bucket(Bucket="files")
    s3.put_object(Bucket="files", Key="a", Body=b"content")
    iam.delete_role_policy(RoleName=ROLE, PolicyName="reads")
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=create_policy(aws, OBJECTS))
    with aws.acting_as(role):
        s3.get_object(Bucket="files", Key="a")


def test_a_boundary_that_does_not_exist_is_refused(aws: EmbeddedAws) -> None:
    missing = f"arn:aws:iam::{aws.account}:policy/missing"
    with raises_client_error("NoSuchEntity", f"Scope ARN: {missing} does not exist or is not attachable."):
        create_role(aws, missing)
    create_role(aws)
    with raises_client_error("NoSuchEntity", "does not exist or is not attachable"):
        aws.client("iam").put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=missing)


def test_inline_policies_are_limited_to_10240_characters_without_spaces(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    create_role(aws)
    iam = aws.client("iam")
    fits = document(OBJECTS | {"Resource": ["arn:aws:s3:::" + "a" * 4_900] * 2}) + " " * 1_000
    iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=fits)
    with raises_client_error("LimitExceeded", f"Maximum policy size of 10240 bytes exceeded for role {ROLE}"):
        iam.put_role_policy(RoleName=ROLE, PolicyName="too-much", PolicyDocument=document(OBJECTS, OBJECTS, OBJECTS))


@pytest.mark.parametrize(
    ("condition", "is_allowed"),
    [
        ({"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}, True),
        ({"StringNotEquals": {"aws:PrincipalAccount": "999999999999"}}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/read*"}}, True),
        ({"StringNotLike": {"aws:PrincipalOrgID": "o-1"}}, False),  # a missing key is not equal to any value
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, True),
    ],
)
def test_a_denial_depends_on_its_condition(aws: EmbeddedAws, condition: dict[str, Any], is_allowed: bool) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""
    role, iam = create_role(aws), aws.client("iam")
    aws.client("s3").create_bucket(Bucket="files")
    denial = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": condition}
    iam.put_role_policy(RoleName=ROLE, PolicyName="denial", PolicyDocument=document(denial))
    with aws.acting_as(role):
        if is_allowed:
            aws.client("s3").list_objects_v2(Bucket="files")
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                aws.client("s3").list_objects_v2(Bucket="files")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ({"NotAction": "s3:*", "Resource": "*"}, "NotAction"),
        ({"Action": "*", "NotResource": "*"}, "NotResource"),
        ({"Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, "IpAddress"),
    ],
)
def test_a_policy_that_is_not_evaluated_is_refused(aws: EmbeddedAws, statement: dict[str, Any], name: str) -> None:
    create_role(aws)
    with raises_client_error("MalformedPolicyDocument", f"The embedded AWS does not evaluate {name}."):
        aws.client("iam").put_role_policy(
            RoleName=ROLE, PolicyName="denial", PolicyDocument=document({"Effect": "Deny", **statement})
        )


def test_the_simulator_evaluates_a_policy_within_a_boundary(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html"""
    conditional = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:ViaAWSService": "true"}},
    }
    results = aws.client("iam").simulate_custom_policy(
        PolicyInputList=[document(READS)],
        PermissionsBoundaryPolicyInputList=[document(OBJECTS, conditional)],
        ActionNames=["s3:GetObject", "s3:ListBucket"],
        ResourceArns=["arn:aws:s3:::files/a"],
    )["EvaluationResults"]
    decisions = [(result["EvalActionName"], result["EvalDecision"]) for result in results]
    assert decisions == [("s3:GetObject", "allowed"), ("s3:ListBucket", "implicitDeny")]
    details = [result["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for result in results]
    assert details == [True, False]
    assert {key for result in results for key in result["MissingContextValues"]} == {"aws:ViaAWSService"}


def test_the_simulator_accepts_a_single_statement_that_is_not_in_a_list(aws: EmbeddedAws) -> None:
    (result,) = aws.client("iam").simulate_custom_policy(
        PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": READS})],
        ActionNames=["s3:GetObject"],
        ResourceArns=["arn:aws:s3:::files/a"],
    )["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"


def test_active_tracing_requires_permissions_for_x_ray(sample: SampleFunction) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html"""
    message = "The provided execution role does not have permissions to call PutTraceSegments on XRAY"
    with raises_client_error("InvalidParameterValueException", message):
        sample.create(TracingConfig={"Mode": "Active"})
    group = f"arn:aws:xray:us-east-1:{sample.aws.account}:group/a"  # these actions have no resource
    limited = sample.role("limited", {"Effect": "Allow", "Action": "xray:Put*", "Resource": group})
    with raises_client_error("InvalidParameterValueException", message):
        sample.create(Role=limited, TracingConfig={"Mode": "Active"})
    sample.create(
        Role=sample.role("traced", {"Effect": "Allow", "Action": "xray:Put*", "Resource": "*"}),
        TracingConfig={"Mode": "Active"},
    )
