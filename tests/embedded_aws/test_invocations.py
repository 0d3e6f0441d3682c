"""Test synchronous invocations: results, errors, time-outs, limits and the permissions of the function."""

from pathlib import Path

import pytest

from embedded_aws import Delays, EmbeddedAws, ManualClock
from tests.support.processes import is_running
from tests.support.sample_function import NAME, SampleFunction, raises_client_error

# The embedded AWS reads the scope of the credentials and does not verify the signature of a function.
READS_SSM = """
import http.client, json, os

def handler(event, context):
    connection = http.client.HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
    scope = f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/ssm/aws4_request"
    connection.request("POST", "/", json.dumps({"Names": [event["name"]], "WithDecryption": True}), {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.GetParameters",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    })
    response = connection.getresponse()
    body = json.loads(response.read())
    return [response.status, body["Parameters"][0]["Value"] if response.status == 200 else body["message"]]
"""


def test_an_uncaught_exception_leaves_the_environment_alive(sample: SampleFunction) -> None:
    sample.create("import os\n\ndef handler(event, context):\n    raise ValueError(f'{os.getpid()}')\n")
    first, second = sample.invoke(), sample.invoke()
    assert first.error == "Unhandled"
    assert first.payload["errorType"] == "ValueError"
    assert first.payload["stackTrace"]
    assert first.payload["requestId"] == first.report["requestId"]
    assert first.payload["errorMessage"] == second.payload["errorMessage"]
    assert first.report["status"] == "error"


def test_a_handler_that_exceeds_the_time_out_is_killed(sample: SampleFunction) -> None:
    source = (
        "import os, time\n\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return os.getpid()\n"
    )
    sample.create(source, Timeout=1)
    pid = sample.invoke().payload
    result = sample.invoke({"s": 60})
    assert result.error == "Unhandled"
    assert result.payload["errorType"] == "Sandbox.Timedout"
    assert result.payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert (result.report["status"], result.report["errorType"]) == ("timeout", "Sandbox.Timedout")
    assert not is_running(pid)
    assert sample.invoke().payload != pid


@pytest.mark.parametrize(
    ("crash", "message"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_crash_is_reported_as_an_exit_error(sample: SampleFunction, crash: str, message: str) -> None:
    sample.create(f"import os\n\ndef handler(event, context):\n    print('last line')\n    {crash}\n")
    result = sample.invoke()
    assert result.payload["errorType"] == "Runtime.ExitError"
    assert result.payload["errorMessage"].endswith(f"Error: {message}")
    assert "last line" in result.tail
    assert not sample.aws.environments(NAME)


def test_a_handler_that_exceeds_the_memory_limit_is_killed(sample: SampleFunction) -> None:
    source = "import time\n\ndef handler(event, context):\n    data = b'x' * 300_000_000\n    time.sleep(60)\n"
    sample.create(source + "    return len(data)\n", Timeout=120)
    result = sample.invoke()
    assert result.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert result.report["metrics"]["maxMemoryUsedMB"] > 128


def test_a_failing_init_runs_twice_and_is_logged(sample: SampleFunction) -> None:
    sample.create("print('INIT runs')\nraise RuntimeError('no database')\n")
    result = sample.invoke()
    assert result.payload["errorType"] == "RuntimeError"
    assert result.payload["errorMessage"] == "no database"
    messages = sample.aws.log_messages(f"/aws/lambda/{NAME}")
    assert messages.count("INIT runs") == 2
    assert '"platform.initReport"' in "".join(messages)


def test_a_slow_init_is_repeated_within_the_time_out_of_the_function(tmp_path: Path) -> None:
    with EmbeddedAws(clock=ManualClock(), delays=Delays(init_timeout_s=0.3)) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create("import time\n\ntime.sleep(0.5)\n\ndef handler(event, context):\n    return 1\n")
        assert sample.invoke().payload == 1
        assert sample.invoke().payload == 1


def test_a_request_or_response_over_6_mb_is_refused(sample: SampleFunction) -> None:
    sample.create("def handler(event, context):\n    return 'x' * event['size']\n")
    with raises_client_error("RequestTooLargeException"):
        sample.invoke({"size": 1, "more": "x" * 6 * 1024 * 1024})
    assert len(sample.invoke({"size": 6_000_000}).payload) == 6_000_000
    result = sample.invoke({"size": 6_300_000})
    assert result.payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert "6291556 bytes" in result.payload["errorMessage"]


def test_the_context_has_the_arn_and_the_remaining_time(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    left_ms = context.get_remaining_time_in_millis()\n"
    sample.create(source + "    return [context.invoked_function_arn, left_ms]\n", Timeout=60)
    sample.client.create_alias(FunctionName=NAME, Name="live", FunctionVersion=sample.publish())
    arn, left_ms = sample.invoke(Qualifier="live").payload
    assert arn == f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}:live"
    assert 20_000 < left_ms <= 60_000


def test_dry_run_and_event_return_without_a_result(sample: SampleFunction) -> None:
    sample.create()
    assert sample.client.invoke(FunctionName=NAME, InvocationType="DryRun")["StatusCode"] == 204
    assert sample.client.invoke(FunctionName=NAME, InvocationType="Event")["StatusCode"] == 202
    with raises_client_error("InvalidRequestContentException", "Could not parse request body into json"):
        sample.client.invoke(FunctionName=NAME, Payload=b"{")


def test_a_function_whose_role_was_deleted_cannot_start(sample: SampleFunction) -> None:
    sample.create()
    iam = sample.aws.client("iam")
    iam.delete_role_policy(RoleName=NAME, PolicyName="may")
    iam.delete_role(RoleName=NAME)
    with raises_client_error("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda."):
        sample.invoke()


@pytest.mark.parametrize("kind", ["DryRun", "Event", "RequestResponse"])
def test_a_version_that_does_not_exist_cannot_be_invoked(sample: SampleFunction, kind: str) -> None:
    sample.create()
    with raises_client_error("ResourceNotFoundException", "missing"):
        sample.client.invoke(FunctionName=NAME, Qualifier="missing", InvocationType=kind)


def test_a_function_can_only_make_calls_that_its_role_allows(sample: SampleFunction) -> None:
    """The embedded AWS records the function's role as the caller."""
    allowed = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "arn:aws:ssm:*:*:parameter/sample/*"}
    role = sample.role(NAME, allowed)
    sample.create(READS_SSM, Role=role)
    sample.aws.client("ssm").put_parameter(Name="/sample/KEY", Type="SecureString", Value="v")
    assert sample.invoke({"name": "/sample/KEY"}).payload == [200, "v"]
    status, message = sample.invoke({"name": "/other/KEY"}).payload
    assert status == 400
    assert "is not authorized to perform: ssm:GetParameters on resource" in message
    calls = [call for call in sample.aws.calls if call.caller == role]
    assert [(call.action, call.status, call.mutating) for call in calls] == [
        ("ssm:GetParameters", 200, False),
        ("ssm:GetParameters", 400, False),
    ]
