"""Test faults and hooks: denied, throttled and failing calls, broken connections, and the recorded calls."""

import contextlib
import json
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError

from embedded_aws import Call, ConnectionReset, EmbeddedAws
from embedded_aws.faults import PAGE, PAGE_STATUS, RUN_CALL, Kind
from tests.support.http_api import create_http_api
from tests.support.sample_function import NAME, SampleFunction, send_request


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "status", "resource"),
    [
        ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403, "arn:aws:lambda:{}:function:f"),
        ("iam", "get_role", {"RoleName": "r"}, "AccessDenied", 403, "arn:aws:iam::123456789012:role/r"),
        ("ssm", "get_parameters", {"Names": ["/a"]}, "AccessDeniedException", 400, "arn:aws:ssm:{}:parameter/a"),
        ("sns", "list_topics", {}, "AccessDenied", 403, "*"),
        ("sqs", "send_message", {"QueueUrl": "q", "MessageBody": "a"}, "AccessDenied", 403, "arn:aws:sqs:{}:q"),
    ],
)  # fmt: skip
def test_a_denied_call_gets_the_error_of_its_protocol(
    aws: EmbeddedAws, service: str, operation: str, params: Any, code: str, status: int, resource: str
) -> None:
    resource = resource.format("us-east-1:123456789012")
    aws.deny(f"{service}:*")
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            getattr(aws.client(service), operation)(**params)
        response = error.value.response
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        message = response["Error"]["Message"]
        assert "User: arn:aws:sts::123456789012:user/moto is not authorized to perform: " in message
        assert f" on resource: {resource} " in message
    aws.clear_faults()
    with pytest.raises(ClientError) as error:
        aws.client("lambda").get_function(FunctionName="f")
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_additional_actions_of_a_call_can_be_denied(sample: SampleFunction) -> None:
    definition = sample.definition(Tags={"a": "b"})
    for action in ("iam:PassRole", "lambda:TagResource"):
        sample.aws.deny(action)
        with pytest.raises(ClientError, match=f"not authorized to perform: {action} on resource"):
            sample.client.create_function(**definition)
        sample.aws.clear_faults()
    sample.client.create_function(**definition)


@pytest.mark.parametrize(
    ("service", "operation", "throttled", "failed"),
    [
        ("lambda", "list_functions", "TooManyRequestsException", "ServiceException"),
        ("logs", "describe_log_groups", "ThrottlingException", "InternalFailure"),
        ("iam", "list_roles", "Throttling", "InternalFailure"),
        ("sqs", "list_queues", "RequestThrottled", "InternalFailure"),
    ],
)
def test_a_chosen_call_is_throttled_or_fails(
    aws: EmbeddedAws, service: str, operation: str, throttled: str, failed: str
) -> None:
    client = aws.client(service)
    for kind, code in (("throttle", throttled), ("server_error", failed)):
        fault = aws.fail(f"{service}:*", kind, call=2)  # type: ignore[arg-type]
        getattr(client, operation)()
        with pytest.raises(ClientError) as error:
            getattr(client, operation)()
        assert error.value.response["Error"]["Code"] == code
        getattr(client, operation)()
        assert (fault.seen, fault.hits) == (3, 1)


@pytest.mark.parametrize(("kind", "is_created"), [("reset_before", False), ("reset_after", True)])
def test_a_connection_breaks_before_or_after_a_call_takes_effect(aws: EmbeddedAws, kind: Any, is_created: bool) -> None:
    logs = aws.client("logs")
    aws.fail("logs:CreateLogGroup", kind)
    with pytest.raises(ConnectionClosedError):
        logs.create_log_group(logGroupName="/g")
    assert bool(logs.describe_log_groups()["logGroups"]) is is_created


@pytest.mark.parametrize("kind", [*PAGE_STATUS, "truncated", "cut_off"])
def test_a_response_is_replaced_or_cut(aws: EmbeddedAws, kind: Kind) -> None:
    responses: list[Any] = []
    logs = aws.client("logs", region="eu-west-1")
    logs.meta.events.register("before-parse", lambda response_dict, **_: responses.append(response_dict))
    logs.describe_log_groups()
    aws.fail("logs:DescribeLogGroups", kind)
    with contextlib.suppress(ClientError):
        logs.describe_log_groups()
    complete, changed = responses
    if kind in PAGE_STATUS:
        assert changed["status_code"] == PAGE_STATUS[kind]
        assert changed["body"] == (b"" if kind.startswith("empty") else PAGE)
    else:
        assert changed["body"] == complete["body"][: len(complete["body"]) // 2]
        declared = complete if kind == "truncated" else changed
        assert int(changed["headers"]["Content-Length"]) == len(declared["body"])


@pytest.mark.parametrize("kind", [*PAGE_STATUS, "truncated", "cut_off"])
def test_a_call_may_be_carried_out_although_its_response_is_lost(aws: EmbeddedAws, kind: Kind) -> None:
    logs = aws.client("logs")
    aws.fail("logs:CreateLogGroup", kind)
    with contextlib.suppress(ClientError):
        logs.create_log_group(logGroupName="/g")
    assert bool(logs.describe_log_groups()["logGroups"]) is (kind in RUN_CALL)


def test_the_payload_of_an_invocation_is_truncated(sample: SampleFunction) -> None:
    sample.create()
    sample.aws.fail("lambda:InvokeFunction", "truncated")
    payload = sample.client.invoke(FunctionName=NAME, Payload="{}")["Payload"]
    with pytest.raises(ResponseStreamingError):
        payload.read()


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("lambda", "list_functions", "ExpiredTokenException", 403),
        ("ssm", "describe_parameters", "ExpiredTokenException", 400),
        ("iam", "list_roles", "ExpiredToken", 403),
    ],
)
def test_credentials_expire_until_the_fault_is_removed(
    aws: EmbeddedAws, service: str, operation: str, code: str, status: int
) -> None:
    call = getattr(aws.client(service), operation)
    aws.fail("*", "expired", call=2, times=None)
    call()
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            call()
        response = error.value.response
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    aws.clear_faults()
    call()


@pytest.fixture(params=["function URL", "HTTP API"])
def public_url(sample: SampleFunction, request: pytest.FixtureRequest) -> str:
    """The public URL of a function that returns its event."""
    if request.param == "function URL":
        url = sample.public_url()
        sample.wait_until_ready()
        return url
    return create_http_api(sample)[1]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset_before", ConnectionResetError),
        ("reset_after", ConnectionResetError),
        ("closed", RemoteDisconnected),
        ("not_http", BadStatusLine),
        ("truncated", IncompleteRead),
    ],
)
def test_a_request_to_a_public_url_gets_no_response(
    sample: SampleFunction, public_url: str, kind: Kind, error: type[Exception]
) -> None:
    fault = sample.aws.fail_requests(kind, request=2)
    assert send_request(public_url)[0] == 200
    with pytest.raises(error):
        send_request(public_url)
    (environment,) = sample.aws.environments()
    assert environment.invocations == (2 if kind in RUN_CALL else 1)
    assert send_request(public_url)[0] == 200
    assert (fault.seen, fault.hits) == (3, 1)


@pytest.mark.parametrize("kind", PAGE_STATUS)
def test_something_else_responds_to_a_request(sample: SampleFunction, public_url: str, kind: Kind) -> None:
    sample.aws.fail_requests(kind)
    status, body, _ = send_request(public_url)
    assert (status, body) == (PAGE_STATUS[kind], b"" if kind.startswith("empty") else PAGE)
    assert json.loads(send_request(public_url)[1])


def test_hooks_run_around_every_call(aws: EmbeddedAws) -> None:
    events: list[tuple[int, str, str, int]] = []
    aws.hook(lambda call, number, when: events.append((number, when, call.action, call.status)))
    aws.client("logs").create_log_group(logGroupName="/g")
    aws.client("sts").get_caller_identity()
    assert events == [
        (1, "before", "logs:CreateLogGroup", 0),
        (1, "after", "logs:CreateLogGroup", 200),
        (2, "before", "sts:GetCallerIdentity", 0),
        (2, "after", "sts:GetCallerIdentity", 200),
    ]

    def break_connection(call: Call, number: int, when: str) -> None:
        if (number, when) == (3, "after"):
            raise ConnectionReset

    aws.hook(break_connection)
    with pytest.raises(ConnectionClosedError):
        aws.client("logs").delete_log_group(logGroupName="/g")
    assert not aws.client("logs").describe_log_groups()["logGroups"]


def test_calls_are_recorded_in_order(sample: SampleFunction) -> None:
    sample.create(Tags={"a": "b"})
    with pytest.raises(ClientError):
        sample.client.get_alias(FunctionName=NAME, Name="none")
    sample.aws.client("ecr").describe_repositories(repositoryNames=[NAME])
    calls = sample.aws.calls
    assert [(call.action, call.status, call.mutating) for call in calls] == [
        ("iam:CreateRole", 200, True),
        ("iam:PutRolePolicy", 200, True),
        ("lambda:CreateFunction", 201, True),
        ("lambda:GetAlias", 404, False),
        ("ecr:DescribeRepositories", 200, False),
    ]
    assert calls[2].params["Tags"] == {"a": "b"}
    assert calls[3].params == {"FunctionName": NAME, "Name": "none"}
    assert {call.caller for call in calls} == {"deployer"}


def test_each_embedded_aws_starts_empty() -> None:
    for _ in range(2):
        with EmbeddedAws() as aws:
            assert not aws.client("logs").describe_log_groups()["logGroups"]
            assert not aws.client("ssm", region="eu-central-1").describe_parameters()["Parameters"]
            aws.client("logs").create_log_group(logGroupName="/g")
            aws.client("ssm", region="eu-central-1").put_parameter(Name="a", Type="String", Value="b")


def test_a_process_runs_only_one_embedded_aws(aws: EmbeddedAws) -> None:
    aws.client("logs").create_log_group(logGroupName="/g")
    with pytest.raises(RuntimeError, match="another EmbeddedAws is running"), EmbeddedAws():
        pass
    assert aws.client("logs").describe_log_groups()["logGroups"]


@pytest.mark.parametrize("kind", ["closed", "not_http"])
def test_a_fault_of_requests_cannot_affect_calls(aws: EmbeddedAws, kind: Kind) -> None:
    with pytest.raises(ValueError, match=f"{kind} is not a fault of a call"):
        aws.fail("logs:*", kind)


@pytest.mark.parametrize("kind", ["deny", "throttle", "server_error", "expired", "cut_off"])
def test_a_fault_of_calls_cannot_affect_requests(aws: EmbeddedAws, kind: Kind) -> None:
    with pytest.raises(ValueError, match=f"{kind} is not a fault of a request"):
        aws.fail_requests(kind)


def test_the_response_with_an_error_can_be_lost(aws: EmbeddedAws) -> None:
    fault = aws.fail("lambda:GetFunction", "reset_after")
    with pytest.raises(ConnectionClosedError):
        aws.client("lambda").get_function(FunctionName="missing")
    assert fault.hits == 1


def test_each_fault_counts_all_calls_that_it_matches(aws: EmbeddedAws) -> None:
    logs = aws.client("logs")
    first, second = (aws.fail("logs:DescribeLogGroups", "throttle", call=call) for call in (1, 2))
    for _ in range(2):
        with pytest.raises(ClientError, match="ThrottlingException"):
            logs.describe_log_groups()
    assert (first.seen, first.hits, second.seen, second.hits) == (2, 1, 2, 1)
    logs.describe_log_groups()


def test_the_aws_configuration_of_the_user_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing-profile")
    with EmbeddedAws(region="eu-central-1") as aws:
        assert aws.client("lambda").get_account_settings()["AccountUsage"]["FunctionCount"] == 0
        assert aws.client("ecr").describe_repositories()["repositories"] == []
        assert aws.environ["AWS_REGION"] == "eu-central-1"
        assert aws.environ["AWS_ENDPOINT_URL"] == aws.url
