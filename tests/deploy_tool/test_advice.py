"""Errors of AWS, of the network and of this machine lead to advice that matches their cause, without a traceback."""

from collections.abc import Callable
from itertools import count
from typing import Literal

import botocore.exceptions
import botocore.parsers
import pytest
import urllib3.exceptions
from botocore.client import BaseClient

from embedded_aws import Call
from embedded_aws.errors import AwsError
from tests.support.deployed_stage import NAME, DeployedStage

KMS = (
    "Lambda was unable to configure access to your environment variables because the KMS key is invalid for "
    "CreateGrant. KMS Exception: InvalidArnException KMS Message: ARN does not refer to a valid principal"
)
SCP = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: lambda:CreateFunction with an explicit "
    "deny in a service control policy"
)


def reject(operation: str, error: AwsError, times: int) -> Callable[[Call, int, Literal["before", "after"]], None]:
    """Return a hook that rejects the first `times` calls of an operation."""
    numbers = count()

    def hook(call: Call, number: int, when: Literal["before", "after"]) -> None:
        if when == "before" and call.operation == operation and next(numbers) < times:
            raise error

    return hook


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            AwsError("InvalidSignatureException", "Signature expired: 20261128T1 is now earlier than 20261128T2", 403),
            "AWS rejected the time of the request: ",
            "Correct the clock of this machine.",
        ),
        (
            AwsError("ThrottlingException", "Rate exceeded", 400),
            "AWS throttled CreateFunction: Rate exceeded",
            "Wait a minute, then run the same command again. It continues where this one stopped.",
        ),
        (
            AwsError("AccessDeniedException", SCP, 403),
            "A service control policy of your AWS organization denies CreateFunction: ",
            "Ask an administrator of the organization to allow that action, or use another account or Region.",
        ),
    ],
    ids=["wrong clock", "throttled", "service control policy"],
)
def test_the_advice_matches_the_cause(stage: DeployedStage, error: AwsError, message: str, hint: str) -> None:
    stage.aws.hook(reject("CreateFunction", error, times=100))
    run = stage.release("old")
    assert run.code == 1
    assert run.err.splitlines()[0].startswith(message)
    assert run.err.splitlines()[1:] == [hint]


def test_a_call_that_was_repeated_after_a_lost_response_is_not_blamed_on_another_deploy(stage: DeployedStage) -> None:
    stage.aws.fail("iam:CreateRole", "reset_after")
    run = stage.release("old")
    assert run.code == 1
    message, hint = run.err.splitlines()
    assert message.startswith("CreateRole was repeated, because no response arrived, and failed with EntityAlready")
    assert hint == "The first call probably succeeded. Run the same command again to continue."
    assert stage.release("old").code == 0


def test_a_deploy_waits_until_kms_knows_a_new_role(stage: DeployedStage) -> None:
    """aws/chalice#1069"""
    stage.aws.hook(reject("CreateFunction", AwsError("InvalidParameterValueException", KMS, 400), times=5))
    assert stage.release("old").code == 0
    assert stage.calls.count("CreateFunction") == 6


def test_a_throttled_smoke_test_is_repeated(stage: DeployedStage) -> None:
    stage.aws.hook(reject("Invoke", AwsError("TooManyRequestsException", "Rate Exceeded.", 429), times=3))
    assert stage.release("old").code == 0
    assert stage.calls.count("Invoke") == 4


def test_a_smoke_test_that_stays_throttled_fails_the_release(stage: DeployedStage) -> None:
    assert stage.release("old").code == 0
    stage.aws.hook(reject("Invoke", AwsError("TooManyRequestsException", "Rate Exceeded.", 429), times=1000))
    run = stage.release("new")
    assert run.code == 1
    assert "Lambda could not run it: Rate Exceeded." in run.err
    assert stage.get() == "old"


def test_an_account_that_forbids_public_functions_gets_no_url(stage: DeployedStage) -> None:
    error = AwsError("PublicPolicyException", "The resource policy grants public access.", 400)
    stage.aws.hook(reject("AddPermission", error, times=1))
    run = stage.release("old")
    assert run.code == 1
    assert run.err == (
        "This AWS account does not allow functions that anyone can call (PublicPolicyException).\n"
        'Set auth = "iam" in deploy.toml, or ask an administrator of the account to allow public access.\n'
    )
    assert stage.url() == ""
    stage.configure('auth = "iam"')
    assert stage.release("old").code == 0


UNEXPECTED = [
    botocore.parsers.ResponseParserError("Unable to parse response, invalid XML received:\nb'<html>'"),
    botocore.exceptions.EndpointConnectionError(endpoint_url="https://lambda.us-east-1.amazonaws.com"),
    botocore.exceptions.LoginRefreshRequired(),
    urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead"),
    PermissionError(13, "Permission denied", "app/private.key"),
    KeyError("Configuration"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_no_exception_is_printed_as_a_traceback(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    numbers = count(1)
    failing = 0

    def fail(client: BaseClient, operation: str, parameters: object) -> object:
        if next(numbers) == failing:
            raise error
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)
    while True:  # fail at each call in turn, until a deploy needs fewer calls
        numbers, failing = count(1), failing + 1
        run = stage.release("old")
        if run.code == 0:
            break
        assert run.code == 1
        assert "Traceback" not in run.err
        assert 2 <= len(run.err.splitlines()) <= 4, run.err
    assert failing > 20
    monkeypatch.undo()
    assert stage.aws.client("lambda").get_function(FunctionName=NAME)["Configuration"]["State"] == "Active"


def test_debug_prints_the_traceback(stage: DeployedStage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise KeyError("Configuration")

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)
    assert "Traceback (most recent call last)" in stage.deploy("--debug", "status").err


def test_deploy_toml_may_begin_with_a_byte_order_mark(stage: DeployedStage) -> None:
    file = stage.project.path / "deploy.toml"
    file.write_text("\ufeff" + file.read_text("utf-8"), "utf-8")
    assert stage.release("old").code == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [("AWS_LAMBDA_EXEC_WRAPPER", 0), ("AWS_LAMBDA_RUNTIME_API", 2), ("TZ", 2), ("LAMBDA_TASK_ROOT", 2)],
)
def test_only_the_names_that_lambda_reserves_are_refused_as_variables(
    stage: DeployedStage, name: str, code: int
) -> None:
    stage.configure(f'environment = {{ {name} = "/opt/wrapper" }}')
    run = stage.release("old")
    assert run.code == code
    if code:
        message = f"deploy.toml: environment.{name}: this name is reserved for Lambda or the deploy tool."
        assert run.err.splitlines()[0] == message


@pytest.mark.parametrize(
    ("repository", "code"), [("mona_acme/api", 0), ("o/r.git", 2), ("o/..", 2), ("o/.github", 0), ("o/a.gitops", 0)]
)
def test_the_repository_has_a_name_that_github_allows(stage: DeployedStage, repository: str, code: int) -> None:
    assert stage.deploy("github", repository).code == code


@pytest.mark.answers(cold_starts="snapstart")
def test_a_region_without_snapstart_is_reported_before_anything_is_created(stage: DeployedStage) -> None:
    stage.configure('region = "ap-east-2"')
    for command in ("plan", "doctor", "deploy"):
        run = stage.deploy(command)
        assert run.code == 2
        problem = "snapstart: is not available in ap-east-2: set snapstart = false, or another region"
        assert run.err.splitlines()[0] == f"deploy.toml: {problem}."
    assert stage.calls == []


def test_a_profile_of_aws_login_can_be_used(stage: DeployedStage) -> None:
    """aws/aws-cli#9949: botocore needs its extra `crt` for such a profile."""
    requirements = (stage.project.path / "requirements-deploy.txt").read_text("utf-8")
    assert "\nawscrt==" in requirements
