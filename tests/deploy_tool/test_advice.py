"""Errors of AWS, of the network and of this machine lead to advice that matches their cause, without a traceback."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal, NoReturn

import botocore.exceptions
import botocore.parsers
import pytest
import urllib3.exceptions
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from embedded_aws import Call
from embedded_aws.errors import AwsError
from embedded_aws.faults import Kind
from tests.support.deployed_stage import NAME, DeployedStage
from tests.support.fake_docker import install_docker

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
        (
            AwsError("LimitExceededException", "Resource limit exceeded.", 400),
            "CreateFunction would exceed a quota of AWS: Resource limit exceeded.",
            "Delete what you do not need, or request more in Service Quotas. Then run the same command again.",
        ),
    ],
    ids=["wrong clock", "throttled", "service control policy", "quota"],
)
def test_the_advice_matches_the_cause(stage: DeployedStage, error: AwsError, message: str, hint: str) -> None:
    stage.aws.hook(reject("CreateFunction", error, times=100))
    run = stage.release("old")
    assert run.code == 1
    assert run.err.splitlines()[0].startswith(message)
    assert run.err.splitlines()[1:] == [hint]


def test_expired_credentials_in_the_middle_of_a_deploy_lead_to_a_new_sign_in(stage: DeployedStage) -> None:
    assert stage.release("old").code == 0
    stage.aws.fail("lambda:PublishVersion", "expired", times=None)
    run = stage.release("new")
    assert run.code == 1
    assert run.err == (
        "Your AWS credentials have expired: The security token included in the request is expired\n"
        "Sign in again, then run the same command. It continues where this one stopped.\n"
    )
    stage.aws.clear_faults()
    assert stage.release("new").code == 0


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("iam:GetRole", "page_200_before"),
        ("iam:GetRole", "empty_after"),
        ("lambda:GetAlias", "page_403_before"),
        ("lambda:GetAlias", "cut_off"),
        ("lambda:InvokeFunction", "page_200_after"),
    ],
)
def test_a_response_that_aws_did_not_send_is_not_taken_for_a_missing_resource(
    stage: DeployedStage, action: str, kind: Kind
) -> None:
    assert stage.release("old").code == 0
    stage.aws.fail(action, kind)
    run = stage.release("new")
    assert run.code == 1
    assert stage.get() == "old"
    message, hint = run.err.splitlines()
    assert message.startswith("A response is incomplete, or AWS did not send it: ")
    assert hint.startswith("Sign in to the network, and check the proxy")


def test_a_repeated_move_of_the_alias_is_not_blamed_on_another_deploy(stage: DeployedStage) -> None:
    assert stage.release("old").code == 0
    stage.aws.fail("lambda:UpdateAlias", "reset_after")
    assert stage.release("new").code == 0
    assert stage.get() == "new"


def test_a_call_that_was_repeated_after_a_lost_response_is_not_blamed_on_another_deploy(stage: DeployedStage) -> None:
    stage.aws.fail("iam:CreateRole", "reset_after")
    run = stage.release("old")
    assert run.code == 1
    message, hint = run.err.splitlines()
    assert message.startswith("CreateRole was repeated, because no response arrived, and failed with EntityAlready")
    assert hint == "The first call probably succeeded. Run the same command again to continue."
    assert stage.release("old").code == 0


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
    stage.aws.lambda_state().blocks_public_access = True
    run = stage.release("old")
    assert run.code == 1
    assert run.err == (
        "This AWS account does not allow functions that anyone can call (PublicPolicyException).\n"
        'Set auth = "iam" in deploy.toml, or ask an administrator of the account to allow public access.\n'
    )
    assert stage.url() == ""
    stage.configure('auth = "iam"')
    assert stage.release("old").code == 0


# One of each family: botocore, urllib3, the file system, and mistakes in the deploy tool itself.
FAMILIES: list[Exception] = [
    ClientError({"Error": {"Code": "ValidationException", "Message": "not\nvalid"}}, "Operation"),
    botocore.exceptions.EndpointConnectionError(endpoint_url="https://lambda.us-east-1.amazonaws.com"),
    botocore.exceptions.LoginRefreshRequired(),
    botocore.parsers.ResponseParserError("Unable to parse response, invalid XML received:\nb'<html>'"),
    urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead"),
    PermissionError(13, "Permission denied", "app/private.key"),
    KeyError("Configuration"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]
OTHERS: list[Exception] = [
    ClientError({"Error": {"Code": "503", "Message": "Service Unavailable"}}, "Operation"),
    ClientError({"Error": {}}, "Operation"),
    botocore.exceptions.ResponseStreamingError(error="Connection broken"),
    botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    botocore.exceptions.CredentialRetrievalError(provider="custom-process", error_msg="exit\ncode 1"),
    OSError(28, "No space left on device"),
    OSError("an error without a number"),
    RuntimeError("several\n\nlines"),
    AssertionError(),
]
COMMANDS = [
    "plan",
    "plan --json",
    "status",
    "status --url",
    "rollback 1",
    "logs",
    "doctor",
    "cost",
    "github mona/api",
    "secret set API_KEY",
    "secret list",
    "secret remove API_KEY",
    "destroy --yes",
]


def test_an_expired_sign_in_of_aws_login_says_how_to_sign_in(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise botocore.exceptions.LoginRefreshRequired

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)
    run = stage.deploy("plan")
    assert run.code == 1
    first, second = run.err.splitlines()
    assert first.startswith("Your AWS sign-in has expired: Your session has expired")
    assert second == "Run: aws login"


@pytest.mark.parametrize("error", FAMILIES, ids=lambda error: type(error).__name__)
def test_no_exception_of_a_deploy_is_printed_as_a_traceback(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert fail_at_each_call(stage, monkeypatch, ["--image", stage.images["old"]], [error]) > 20
    assert stage.aws.client("lambda").get_function(FunctionName=NAME)["Configuration"]["State"] == "Active"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_exception_of_another_command_is_printed_as_a_traceback(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    install_docker(tmp_path, monkeypatch)
    for body in ("old", "new"):
        assert stage.release(body).code == 0
    assert stage.deploy("secret", "set", "API_KEY", typed="value").code == 0
    assert fail_at_each_call(stage, monkeypatch, command.split(), FAMILIES + OTHERS) > 0


def fail_at_each_call(
    stage: DeployedStage, monkeypatch: pytest.MonkeyPatch, command: list[str], errors: list[Exception]
) -> int:
    """Run a command again and again, and raise one of the errors at another call each time. Return the number of calls.

    Raise AssertionError unless each error is printed as two lines.
    """
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    number = 0

    def fail(client: BaseClient, operation: str, parameters: object) -> object:
        nonlocal number
        number += 1
        if number == failing:
            raise errors[failing % len(errors)]
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", fail)
    for failing in count(1):
        number = 0
        run = stage.deploy(*command, typed="value")
        if number < failing:  # it needs fewer calls
            assert run.code == 0, run
            break
        assert run.code in (0, 1), run
        assert "Traceback" not in run.out + run.err
        if command == ["doctor"]:
            assert "PROBLEM" in run.out
            assert run.err == ""
        elif run.code:
            assert len([line for line in run.err.splitlines() if not line.startswith("    ")]) == 2, run.err
    monkeypatch.undo()
    return failing - 1


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
